/**
 * esbuild plugin: string-width's segmenter and its pattern of all emoji sequences are made when a text that is not ASCII is first
 * measured. ICU takes 22 ms of processor time for the two, which every command paid at its start.
 */
import { readFileSync } from "node:fs";

const LAZY = [
  [
    "const segmenter = new Intl.Segmenter();",
    "let made; const segmenter = { segment: (text) => (made ??= new Intl.Segmenter()).segment(text) };",
  ],
  [
    String.raw`const rgiEmojiRegex = /^\p{RGI_Emoji}$/v;`,
    String.raw`let rgi; const rgiEmojiRegex = { test: (text) => (rgi ??= new RegExp("^\\p{RGI_Emoji}$", "v")).test(text) };`,
  ],
];

export const lazyWidth = {
  name: "lazy-width",
  setup(build) {
    build.onLoad({ filter: /[\\/]string-width[\\/]index\.js$/ }, ({ path }) => {
      const source = readFileSync(path, "utf8");
      const missing = LAZY.filter(([eager]) => !source.includes(eager));
      if (missing.length > 0) {
        return { errors: missing.map(([eager]) => ({ text: `lazy-width: no "${eager}" in ${path}` })) };
      }
      const contents = LAZY.reduce((text, [eager, lazy]) => text.replace(eager, () => lazy), source);
      return { contents, loader: "js" };
    });
  },
};
