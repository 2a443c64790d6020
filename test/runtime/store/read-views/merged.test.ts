import { expect, test } from "bun:test";
import { merged } from "../../../../src/runtime/store/read-views/merged.ts";

const both = (some: number[], others: number[]) => [...merged(some.values(), others.values(), (a, b) => a < b)];

test.each([
  [[], []],
  [[1, 2], []],
  [[], [1, 2]],
  [
    [1, 4, 5],
    [2, 3, 6, 7],
  ],
  [[5], [1, 2, 9]],
])("%j and %j are one ascending sequence", (some, others) => {
  expect(both(some, others)).toEqual([...some, ...others].toSorted((a, b) => a - b));
});

test("both sequences are closed when whoever reads has read enough", () => {
  const closed: string[] = [];
  function* endless(name: string): Generator<number, void> {
    try {
      for (let n = 0; ; n++) yield n;
    } finally {
      closed.push(name);
    }
  }
  for (const n of merged(endless("a"), endless("b"), (a, b) => a < b)) if (n === 3) break;
  expect(closed).toEqual(["a", "b"]);
});
