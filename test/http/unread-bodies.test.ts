import { describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { type Clock, systemClock } from "../../src/system/clock.ts";
import { clientShare } from "../../src/http/permits.ts";
import { BODY_WAIT_MS_MAX, UnreadBodies } from "../../src/http/unread-bodies.ts";
import { waitUntil } from "../support/wait-until.ts";
import { exchange, httpDoor } from "./door.ts";

const start = httpDoor();

/** A clock whose time is set by the test; sleeps end when the system's do, and at once when the time is moved. */
const movedClock = (): Clock & { move(ms: number): void } => {
  let moved_ms = 0;
  const wakers = new Set<() => void>();
  return {
    ...systemClock,
    now_ms: () => systemClock.now_ms() + moved_ms,
    sleep: (ms, signal) =>
      Promise.race([systemClock.sleep(ms, signal), new Promise<void>((resolve) => void wakers.add(resolve))]),
    move: (ms) => {
      moved_ms += ms;
      for (const wake of wakers) wake();
      wakers.clear();
    },
  };
};

describe("a body that is not there yet", () => {
  const head = (length: number, more = "") =>
    `POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n${more}\r\n`;
  /** A request whose body does not come; `answer` is the response it gets. */
  const slowly = (port: number) => {
    const answer = Promise.withResolvers<string>();
    let text = "";
    const socket = connect(port, "127.0.0.1", () => socket.write(`${head(500)}{`));
    socket.on("data", (data) => (text += data.toString()));
    socket.on("error", () => undefined);
    socket.on("close", () => answer.resolve(text));
    return { socket, answer: answer.promise };
  };
  const echo = (port: number) =>
    fetch(`http://127.0.0.1:${port}/echo`, { method: "POST", body: "{}", headers: { "content-type": "application/json" } });

  test("takes no place of those that are worked on, and of slow ones the oldest makes room for a new one", async () => {
    const { service, inFlight } = start({ requests_max: 8 });
    const slow = Array.from({ length: 3 * 8 }, () => slowly(service.port));
    const answered = (await Promise.all(slow.slice(0, 20).map(({ answer }) => answer))).map((text) => text.slice(0, 12));
    expect(new Set(answered)).toEqual(new Set(["HTTP/1.1 408"]));
    expect(inFlight.requests).toBe(0);
    for (let asked = 0; asked < 10; asked++) expect((await echo(service.port)).status).toBe(200);
    for (const { socket } of slow) socket.destroy();
  });

  test("is cut off after a while, and the connection closed", async () => {
    const clock = movedClock();
    const { service } = start({ clock });
    const { answer } = slowly(service.port);
    await Bun.sleep(100);
    clock.move(BODY_WAIT_MS_MAX - 1_000);
    await Bun.sleep(50);
    expect(await Promise.race([answer, "waiting"])).toBe("waiting");
    clock.move(2_000);
    expect(await answer).toMatch(/^HTTP\/1\.1 408 .*connection: close.*BODY_TOO_SLOW/is);
  });

  test("does not hold up a stop", async () => {
    const { service } = start();
    const { answer } = slowly(service.port);
    await Bun.sleep(50);
    const began_ms = performance.now();
    expect(await service.stop()).toBe(0);
    expect(performance.now() - began_ms).toBeLessThan(1_500);
    expect(await answer).toMatch(/^HTTP\/1\.1 503 .*SHUTTING_DOWN/s);
  });

  test("and that the client holds back for an expectation in capitals, is refused, so that it need not wait for ever", async () => {
    const { service } = start();
    expect(await exchange(service.port, head(2, "Expect: 100-continue\r\n"))).toBe("HTTP/1.1 100 Continue\r\n\r\n");
    for (const expectation of ["100-Continue", "something"])
      expect(await slowExchange(service.port, head(2, `Expect: ${expectation}\r\n`))).toMatch(
        /^HTTP\/1\.1 417 .*connection: close.*EXPECTATION_FAILED/is,
      );
    expect(await exchange(service.port, `${head(2, "Expect: 100-Continue\r\n")}{}`)).toMatch(/^HTTP\/1\.1 200 /);
  });
  const slowExchange = async (port: number, request: string) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(request));
    let text = "";
    socket.on("data", (data) => (text += data.toString()));
    await new Promise((resolve) => socket.on("close", resolve));
    return text;
  };

  test("displaces one of its own client, or else one of the client that has the most", async () => {
    const bodies = new UnreadBodies(8, systemClock);
    const never = new Promise<never>(() => undefined);
    const cut: string[] = [];
    const add = (client: string, name: string) => void bodies.arrived({ client }, never).catch(() => cut.push(name));
    for (let i = 0; i < 5; i++) add("a", `a${i}`);
    await waitUntil("for the first to go", () => cut.length === 1);
    expect([cut, bodies.bodies]).toEqual([["a0"], clientShare(8)]);
    for (const client of ["b", "b", "c", "d"]) add(client, client);
    expect(bodies.bodies).toBe(8);
    add("e", "e");
    await waitUntil("for another to go", () => cut.length === 2);
    expect([cut, bodies.bodies]).toEqual([["a0", "a1"], 8]);
    bodies.close();
    await waitUntil("for all to go", () => cut.length === 10);
    expect(bodies.bodies).toBe(0);
  });
});
