import { afterEach, beforeEach, describe } from "vitest";
import { changing } from "./changing.ts";
import type { Fixture, OpenFixture } from "./fixture.ts";
import { interrupting } from "./interrupting.ts";
import { listing } from "./listing.ts";
import { naming } from "./naming.ts";
import { refusing } from "./refusing.ts";

/** What every backend must do (the contract is backend.ts). Call it in a test file of the backend. */
export function backendSuite(name: string, open: OpenFixture): void {
  describe(`backend ${name}`, () => {
    let fixture: Fixture;
    beforeEach(async () => {
      fixture = await open();
    });
    afterEach(async () => {
      await fixture[Symbol.asyncDispose]();
    });
    const current = () => fixture;
    describe("lists", () => listing(current));
    describe("changes", () => changing(current));
    describe("keeps names", () => naming(current));
    describe("refuses", () => refusing(current));
    describe("ends early", () => interrupting(current));
  });
}
