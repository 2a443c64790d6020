import { describe, expect, test } from "bun:test";
import { isAppError } from "../../src/errors.ts";
import { hostName, ServedHosts } from "../../src/http/hosts.ts";
import { exchange, httpDoor, statusOf } from "./door.ts";

const start = httpDoor();

describe("a Host header", () => {
  const { service } = start();
  const ask = (host: string, target = "/who") => statusOf(service.port, `GET ${target} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);

  test("is not asked of HTTP/1.0", async () => {
    for (const [target, status] of [
      ["/who", 200],
      ["/things/7/parts?a=1", 200],
      ["/nowhere", 404],
    ] as const)
      expect(await statusOf(service.port, `GET ${target} HTTP/1.0\r\n\r\n`)).toBe(status);
    expect(await statusOf(service.port, "OPTIONS /who HTTP/1.0\r\n\r\n")).toBe(204);
  });

  test("is asked of HTTP/1.1", async () => {
    for (const target of ["/who", "/things/7/parts?a=1", "/nowhere"])
      expect(await statusOf(service.port, `GET ${target} HTTP/1.1\r\n\r\n`)).toBe(400);
  });

  test.each(["", "a b", "a/b?c", "u@b", "[::1", "::1", "[::1]x", "x:99999", "x:y", "%zz", "ÿ", "a\r\nHost: b"])(
    "that is malformed is 400: %j",
    async (host) => {
      for (const target of ["/who", "/nowhere", "/things/%2e%2e/parts"]) expect(await ask(host, target)).toBe(400);
    },
  );

  test("of another name is 421 where the service listens on a loopback address: a name may have been rebound to it", async () => {
    for (const host of ["localhost", "LOCALHOST:80", "localhost.", "127.0.0.1", "127.9.8.7:1", "[::1]:8000"])
      expect([host, await ask(host)]).toEqual([host, 200]);
    for (const host of ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "127.0.0.256", "10.0.0.1", "a"]) {
      for (const target of ["/who", "/nowhere", "/things/1/parts"])
        expect([host, target, await ask(host, target)]).toEqual([host, target, 421]);
    }
    const echo = "POST /echo HTTP/1.1\r\nHost: evil.example\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
    expect(await exchange(service.port, echo)).toMatch(/^HTTP\/1\.1 421 .*HOST_NOT_SERVED/s);
  });

  const isServed = (hosts: ServedHosts, header: string): boolean => {
    try {
      hosts.require(header);
      return true;
    } catch (e) {
      if (isAppError(e, "HOST_NOT_SERVED")) return false;
      throw e;
    }
  };
  const asked = ["localhost:1", "[::1]", "10.0.0.1:8000", "[fe80::1]:1", "shop.example", "SHOP.example.:8000", "evil.example"];

  test.each([
    ["127.0.0.1", [], [true, true, false, false, false, false, false]],
    ["::1", [], [true, true, false, false, false, false, false]],
    ["localhost", ["shop.example"], [true, true, false, false, true, true, false]],
    ["127.0.0.1", ["10.0.0.1", "FE80::1"], [true, true, true, true, false, false, false]],
    ["0.0.0.0", [], [true, true, true, true, true, true, true]],
    ["::", [], [true, true, true, true, true, true, true]],
    // A probe asks by address; an address cannot be rebound.
    ["0.0.0.0", ["Shop.Example"], [true, true, true, true, true, true, false]],
    ["shop.internal", ["shop.example"], [true, true, true, true, true, true, false]],
  ])("on %s, with %j allowed", (host, allowed_hosts, expected) => {
    const hosts = new ServedHosts(host, allowed_hosts);
    expect(asked.map((header) => isServed(hosts, header))).toEqual(expected);
  });

  test("that peers were told is served whatever else is, and opens nothing else", () => {
    for (const host of ["127.0.0.1", "0.0.0.0"]) {
      const hosts = new ServedHosts(host, ["shop.example"], "Orders-0.internal");
      expect(["orders-0.internal:8001", "shop.example", "evil.example"].map((header) => isServed(hosts, header))).toEqual([
        true,
        true,
        false,
      ]);
    }
    expect(isServed(new ServedHosts("0.0.0.0", [], "orders-0.internal"), "any.example")).toBe(true);
    expect(isServed(new ServedHosts("::1", [], "[fd00::2]"), "[fd00::2]:8001")).toBe(true);
  });

  test("is read without its port, in small letters", () => {
    expect(["A.b:1", "[::1]:80", "a:", "a", "a:65536"].map(hostName)).toEqual(["a.b", "[::1]", "a", "a", undefined]);
  });
});
