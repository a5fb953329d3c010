/** Programs that some tests use; without one those tests are shown as skipped. */
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { ROOT, run, say } from "../lib/tools.mjs";
import { unpackProftpd } from "./proftpd.mjs";

const OPTIONAL = [
  { program: "ip", debian: "iproute2" },
  { program: "nft", debian: "nftables" },
  { program: "strace", debian: "strace" },
  { program: "scp", debian: "openssh-client" },
  { program: "sshd", debian: "openssh-server" },
  { program: "nginx", debian: "nginx-light" },
  {
    program: "nginx's dav-ext",
    debian: "libnginx-mod-http-dav-ext",
    file: "/usr/lib/nginx/modules/ngx_http_dav_ext_module.so",
  },
  { program: "rclone", debian: "rclone" },
  { program: "vsftpd", debian: "vsftpd" },
];

/** Built by Go from its module proxy: Debian has no S3 server of this size. Pinned, so that a run can be repeated. */
const VERSITYGW = "github.com/versity/versitygw/cmd/versitygw@v1.8.0";
const OWN = join(ROOT, ".cache/tools/bin");

function has(program) {
  const folders = [OWN, ...(process.env.PATH ?? "").split(":"), "/usr/sbin", "/sbin"];
  return folders.some((folder) => existsSync(`${folder}/${program}`));
}

const isHere = ({ program, file }) => (file === undefined ? has(program) : existsSync(file));

/** Installs what is missing where that is possible: Debian, as root. */
export function installOptionalTools() {
  const missing = OPTIONAL.filter((tool) => !isHere(tool));
  installDebian(missing);
  const absent = missing.filter((tool) => !isHere(tool)).map(({ program }) => program);
  if (!installVersitygw()) absent.push("versitygw");
  if (!unpackProftpd()) absent.push("proftpd");
  if (absent.length > 0)
    say(`tools: not here and not installable: ${absent.join(", ")}; tests that need them are skipped`);
}

function installDebian(missing) {
  if (missing.length === 0) return;
  if (process.getuid?.() === 0 && has("apt-get")) {
    const packages = missing.map(({ debian }) => debian);
    const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
    const options = { env, timeout: 180_000, stdio: ["ignore", "ignore", "ignore"] };
    run("apt-get", ["update", "-qq"], options);
    run("apt-get", ["install", "-y", "-qq", "--no-install-recommends", ...packages], options);
  }
}

function installVersitygw() {
  if (has("versitygw")) return true;
  if (!has("go")) return false;
  mkdirSync(OWN, { recursive: true });
  const env = { ...process.env, GOBIN: OWN, GOFLAGS: "-modcacherw" };
  run("go", ["install", VERSITYGW], { env, timeout: 600_000, stdio: ["ignore", "ignore", "ignore"] });
  return has("versitygw");
}
