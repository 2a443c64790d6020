import { describe, expect, test } from "bun:test";
import type { Projection } from "../../../src/runtime/projection.ts";
import { storeKindOf } from "../../../src/runtime/projections.ts";
import { orderProjection } from "../../../src/services/orders/state/order-projection.ts";

const named = (name: string, version: number): Projection<unknown> => ({ ...orderProjection, name, version });
const customerProjection = named("customers", 1);

describe("what a store's file is known as", () => {
  test("is the projection's own name and version where there is one", () => {
    expect(storeKindOf([orderProjection])).toEqual({ name: "orders", version: 4 });
  });

  test("tells all names and versions where there are several, in whatever order they are listed", () => {
    expect(storeKindOf([orderProjection, customerProjection])).toEqual({ name: "customers@1+orders@4", version: 0 });
    expect(storeKindOf([customerProjection, orderProjection])).toEqual(storeKindOf([orderProjection, customerProjection]));
  });

  test("is never another list's: names that could be taken for one, and the same name twice, are refused", () => {
    for (const other of [named("a@1+b", 2), named("", 1), named("a", 0)])
      expect(() => storeKindOf([other])).toThrow("A projection's name");
    expect(() => storeKindOf([named("a", 1), named("a", 2)])).toThrow("have the same name: a, a");
  });
});
