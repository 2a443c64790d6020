import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { EVENT_KINDS, type EventKind, readChange, writeChange } from "../../../src/orders/events/kinds.ts";
import { aChange } from "../../support/events/an-event.ts";

const kinds: readonly EventKind[] = EVENT_KINDS;

test.each(["type", "name"] as const)("no two kinds of event have one %s", (property) => {
  const values = kinds.map((kind) => kind[property]);
  expect(values).toEqual([...new Set(values)]);
});

test("the word of a change that waits has no white space, and no kind but its own reads it", () => {
  fc.assert(
    fc.property(aChange, (change) => {
      const word = writeChange(change);
      expect(word).toMatch(/^\S+$/);
      expect(readChange(word)).toEqual(change);
      expect(kinds.filter((kind) => !kind.isCreate && kind.readWord(word) !== undefined)).toHaveLength(1);
    }),
  );
});
