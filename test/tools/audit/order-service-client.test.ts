import { expect, test } from "bun:test";
import { orderServiceClient } from "../../../src/tools/audit/order-service-client.ts";

const ask = (url: string) => orderServiceClient(url, undefined, 1).partitions();
const refusal = (url: string) => ask(url).then(String, (e: unknown) => (e as Error).message);

/** The URL of a server that gives this answer to everything. */
function serving(answer: () => Response) {
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: answer });
  return { url: `http://127.0.0.1:${server.port}`, [Symbol.asyncDispose]: () => server.stop(true) };
}

test("an order service's answer is taken as it is", async () => {
  await using service = serving(() => Response.json({ topicName: "a", partitionCount: 0, partitions: [] }));
  expect(await ask(service.url)).toEqual({ topicName: "a", partitionCount: 0, partitions: [] });
});

test("a port where nothing listens: the message names what says where the service is", async () => {
  const service = serving(() => new Response());
  await service[Symbol.asyncDispose]();
  expect(await refusal(service.url)).toMatch(/does not answer: .*ORDER_PORT .*--services/);
});

test("a port where another program listens: the same", async () => {
  await using other = serving(() => new Response("<html>", { status: 404 }));
  expect(await refusal(other.url)).toMatch(/answers 404: <html> .*ORDER_PORT .*--services/);
  await using page = serving(() => new Response("<html>"));
  expect(await refusal(page.url)).toMatch(/not JSON\. .*ORDER_PORT .*--services/);
});

test("an order service that refuses says why, and is not looked for elsewhere", async () => {
  await using service = serving(() => Response.json({ detail: "Not now." }, { status: 503 }));
  expect(await refusal(service.url)).toBe(`${service.url}/partitions answers 503: Not now.`);
});
