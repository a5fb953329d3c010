#!/bin/sh
# Installs what the bench compares with (Debian, Ubuntu). Only the programs: no service is started or enabled by it.
#   sudo sh bench/install-peers.sh
set -eu

PACKAGES="openssh-server openssh-client rsync nginx-light curl aria2 rclone lftp iperf3
globus-gridftp-server-progs globus-gass-copy-progs"

command -v apt-get >/dev/null || { echo "install-peers: needs apt-get; install by hand: $PACKAGES" >&2; exit 1; }
[ "$(id -u)" = 0 ] || { echo "install-peers: run it as root (sudo sh $0)" >&2; exit 1; }

missing=""
for package in $PACKAGES; do
  state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || { echo "install-peers: everything is installed already"; exit 0; }

# Services that come with them are of no use here: what was not there before is neither started nor enabled for later.
services=""
case "$missing" in *nginx-light*) services="$services nginx.service" ;; esac
case "$missing" in *openssh-server*) services="$services ssh.service" ;; esac
case "$missing" in *rsync*) services="$services rsync.service" ;; esac

# invoke-rc.d asks this file before it starts a service (policy-rc.d.txt); 101 means no.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  trap 'exit 1' HUP INT TERM
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
fi

export DEBIAN_FRONTEND=noninteractive
apt-get update -q
# shellcheck disable=SC2086 # a list of words
apt-get install -q -y --no-install-recommends $missing
if command -v systemctl >/dev/null; then
  for service in $services; do
    systemctl disable -q "$service" 2>/dev/null || true
  done
fi
echo "install-peers: installed$missing"
