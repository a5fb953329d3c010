import { EventEmitter } from "node:events";
import { expect, test } from "vitest";
import { LastWords } from "./last-words.ts";

class Stream extends EventEmitter {
  writableFinished = false;
  destroyed = false;
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

function saying(words: LastWords) {
  const stream = new Stream();
  let answer = () => {};
  let left = false;
  const said = words
    .say(async () => {
      await turn();
      words.made(stream);
      await new Promise<void>((resolve) => {
        answer = resolve;
      });
      stream.emit("close");
    })
    .then(() => {
      left = true;
    });
  return { stream, said, answer: () => answer(), hasLeft: () => left };
}

test("a last word is said when its request has left, not when it was asked for and not when it is answered", async () => {
  const words = new LastWords();
  const { stream, said, answer, hasLeft } = saying(words);
  await turn();
  await turn();
  expect(hasLeft()).toBe(false);
  stream.emit("finish");
  await said;
  const { answered } = words;
  expect(answered).toBeDefined();
  answer();
  await answered;
  await turn();
  expect(words.answered).toBeUndefined();
});

test("its answer is not worth keeping a connection on which something else is under way", async () => {
  const words = new LastWords();
  words.made(new Stream());
  const { stream, said } = saying(words);
  await turn();
  await turn();
  stream.emit("finish");
  await said;
  expect(words.answered).toBeUndefined();
});

test("one that fails before any request was made is over", async () => {
  const words = new LastWords();
  await words.say(() => Promise.reject(new Error("no connection")));
  await turn();
  expect(words.answered).toBeUndefined();
});
