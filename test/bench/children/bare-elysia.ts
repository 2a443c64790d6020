import { Elysia } from "elysia";

/**
 * `bun bare-elysia.ts <port>`: the least an Elysia route can do that reads the same body and answers the same bytes as
 * ours.
 */
new Elysia()
  .post("/create-order", ({ body }) => {
    const { order_id } = body as { order_id: string };
    return new Response(`{"message":"order created and published successfully","orderId":"ORD-${order_id}"}`, {
      headers: { "content-type": "application/json" },
    });
  })
  .listen({ hostname: "127.0.0.1", port: Number(process.argv[2]) });
