import { expect, test } from "bun:test";
import { join } from "node:path";
import { httpTransport } from "../../src/fleet/peer-transport.ts";
import { repository } from "../support/programs/repository.ts";

const never = new AbortController().signal;
const get = (url: string) => ({ method: "GET", url, headers: { "fleet-token": "t" } }) as const;

test("an answer comes whole, whatever its status, over a connection that is kept", async () => {
  const ports = new Set<number | undefined>();
  using server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request, asked) => {
      ports.add(asked.requestIP(request)?.port);
      return new Response(request.headers.get("fleet-token"), { status: 421, headers: { "retry-after": "1" } });
    },
  });
  const transport = httpTransport({});
  for (let n = 0; n < 5; n++) {
    const answer = await transport(get(server.url.href), never);
    expect([answer.status, answer.text, answer.headers.get("retry-after")]).toEqual([421, "t", "1"]);
  }
  expect(ports.size).toBe(1);
});

test("an answer without a length, or with too great a one, is refused, and redirections lead nowhere", async () => {
  using server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: ({ url }) =>
      url.endsWith("/redirect")
        ? Response.redirect("http://127.0.0.1:1/")
        : new Response(new ReadableStream({ start: (controller) => controller.enqueue(Buffer.from("{")) })),
  });
  const transport = httpTransport({});
  await expect(transport(get(`${server.url.href}endless`), never)).rejects.toThrow("bytes");
  expect((await transport(get(`${server.url.href}redirect`), never)).status).toBe(302);
});

test("nobody waits any more once the signal aborts", async () => {
  using server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Promise<Response>(() => undefined) });
  const leaving = new AbortController();
  const answer = httpTransport({})(get(server.url.href), leaving.signal);
  setTimeout(() => leaving.abort(), 20);
  await expect(answer).rejects.toThrow();
});

test("no proxy of the environment comes in between, and other hosts keep theirs", async () => {
  using peer = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("peer") });
  using proxy = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("proxy") });
  const script = `
    const { httpTransport } = await import(${JSON.stringify(join(repository, "src/fleet/peer-transport.ts"))});
    const asked = { method: "GET", url: ${JSON.stringify(peer.url.href)}, headers: {} };
    const { text } = await httpTransport(process.env)(asked, new AbortController().signal);
    console.log(text, await (await fetch("http://elsewhere.example/")).text(), process.env.NO_PROXY);`;
  const child = Bun.spawn([process.execPath, "-e", script], {
    env: { ...process.env, HTTP_PROXY: proxy.url.href, NO_PROXY: "other.example" },
    stdout: "pipe",
  });
  expect(await new Response(child.stdout).text()).toBe("peer proxy other.example,127.0.0.1\n");
});
