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

test("sizes where the index tells them in bytes, and what is rounded is none", () => {
  const sizes = (page: string, type = "text/html") =>
    entriesOf(page, { folder, type }).map(({ name, size }) => [name, size]);
  const nginx = `<html><body><pre><a href="../">../</a>
<a href="sub/">sub/</a>                                23-Nov-2026 10:26                   -
<a href="7/">7/</a>                                  23-Nov-2026 10:26                   7
<a href="f0">f0</a>                                  23-Nov-2026 10:26               12345
<a href="a%20very%20long%20name">a very long n..&gt;</a> 23-Nov-2026 10:26\t 12
<a href="12K">12K</a>                                 23-Nov-2026 10:26                 12K
<a href="empty">empty</a>                               23-Nov-2026 10:26                   0\r
</pre></body></html>`;
  expect(sizes(nginx)).toEqual([
    ["sub", undefined],
    ["7", undefined],
    ["f0", 12_345],
    ["a very long name", undefined],
    ["12K", undefined],
    ["empty", 0],
  ]);
  const apache =
    '<td><a href="f">f</a></td><td align="right">2026-11-23 10:26  </td><td align="right"> 12</td>';
  expect(sizes(apache)).toEqual([["f", undefined]]);
  const json =
    '[{"name":"a","size":3},{"name":"b","size":1.5},{"name":"c","size":-1},{"name":"d","type":"directory","size":4}]';
  expect(sizes(json, "application/json")).toEqual([
    ["a", 3],
    ["b", undefined],
    ["c", undefined],
    ["d", undefined],
  ]);
});
