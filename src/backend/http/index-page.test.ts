import { expect, test } from "vitest";
import { entriesOf } from "./index-page.ts";

const folder = new URL("http://h/d/");
const names = (page: string, type = "text/html") =>
  entriesOf(page, { folder, type }).map(({ name, folder }) => (folder ? `${name}/` : name));

test("what is right in the folder", () => {
  const page = `<a href="../">..</a> <A class=x HREF='a%20b.txt'>a</A><a href=plain>p</a> <a href="/d/abs">abs</a>
    <a href="http://h/d/sub/">sub</a> <a href="a&amp;b&#39;&#x21;">amp</a> <a href="back\\slash">b</a>`;
  expect(names(page)).toEqual(["a b.txt", "plain", "abs", "sub/", "a&b'!", "back\\slash"]);
});

test("not what leads elsewhere", () => {
  const page = `<a href="?C=N;O=D">sort</a><a href="http://other/d/x">x</a><a href="../x">up</a><a href="/x">root</a>
    <a href="sub/deeper">two</a><a href="https://h/d/x">other scheme</a><a href="http://[">bad</a><a href="%zz">bad escape</a>`;
  expect(names(page)).toEqual([]);
});

test("names that are no names stay for the caller to refuse", () => {
  expect(names('<a href="..%2fx">a</a><a href="%00">b</a>')).toEqual(["../x", "\0"]);
});

test("the JSON of nginx and Caddy", () => {
  const nginx = '[{"name":"d 1","type":"directory"},{"name":"a#b?c%","type":"file","size":3}]';
  expect(names(nginx, "application/json")).toEqual(["d 1/", "a#b?c%"]);
  expect(names('[{"name":"sub/","is_dir":true},{"name":"f","is_dir":false},7]', "application/json")).toEqual([
    "sub/",
    "f",
  ]);
  expect(names('{"not":"a list"}', "application/json")).toEqual([]);
  expect(names("no JSON", "application/json")).toEqual([]);
});
