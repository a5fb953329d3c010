import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { changing } from "./changing.ts";
import { type Fixture, type OpenFixture, POSIX, type Traits } from "./fixture.ts";
import { interrupting } from "./interrupting.ts";
import { links } from "./links.ts";
import { listing } from "./listing.ts";
import { naming } from "./naming.ts";
import { refusing } from "./refusing.ts";

/** What every backend must do (the contract is backend.ts). Call it in a test file of the backend. */
export function backendSuite(name: string, open: OpenFixture, traits: Traits = POSIX): void {
  describe(`backend ${name}`, () => {
    let fixture: Fixture;
    beforeEach(async () => {
      fixture = await open();
    });
    afterEach(async () => {
      await fixture[Symbol.asyncDispose]();
    });
    const current = () => fixture;
    test("says what it can", () => {
      const { capabilities } = current().backend;
      const { links: can, permissions } = capabilities;
      expect({ links: can === true, permissions }).toEqual({
        links: traits.links,
        permissions: traits.permissions,
      });
      for (const reason of Object.values(capabilities)) expect(reason).not.toBe("");
    });
    describe("lists", () => listing(current, traits));
    if (traits.changes !== false) describe("changes", () => changing(current, traits));
    describe("keeps names", () => naming(current, traits));
    describe("refuses", () => refusing(current));
    describe("ends early", () => interrupting(current, traits));
    if (traits.links) describe("knows links", () => links(current));
  });
}
