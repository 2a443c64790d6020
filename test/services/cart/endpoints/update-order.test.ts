import { describe, expect, test } from "bun:test";
import { AppError } from "../../../../src/errors.ts";
import { expectProblem } from "../../../support/http/problems.ts";
import { fakeCartService } from "../fake-cart-service.ts";

const { fake, update } = await fakeCartService();

describe("PUT /update-order", () => {
  test.each(["new", "pending", "confirmed", "processing", "shipped", "cancelled"])("status %s", async (status) => {
    const response = await update({ order_id: "ORD-123", status });
    expect(response.status).toBe(200);
    expect(await response.text()).toBe('{"message":"order status updated and published successfully","orderId":"ORD-123"}');
    expect(response.headers.get("log-position")).toBe("3:17");
    expect(fake.calls).toMatchObject([{ command: { orderId: "ORD-123", status } }]);
  });

  test("camelCase", async () => {
    expect((await update({ orderId: "7", status: "shipped" })).status).toBe(200);
    expect(fake.calls).toMatchObject([{ command: { orderId: "ORD-7", status: "shipped" } }]);
  });

  test("422 for an unknown status", async () => {
    const problem = await expectProblem(await update({ order_id: "1", status: "Confirmed" }), "INVALID_FIELD");
    expect(problem.detail).toBe("status must be one of new, pending, confirmed, processing, shipped, cancelled.");
  });

  test("404", async () => {
    fake.answer = () => Promise.reject(new AppError("ORDER_NOT_FOUND", "There is no order ORD-1.", { orderId: "ORD-1" }));
    await expectProblem(await update({ order_id: "1", status: "new" }), "ORDER_NOT_FOUND");
  });
});
