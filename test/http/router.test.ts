import { describe, expect, test } from "bun:test";
import { HttpRequest } from "../../src/http/http-request.ts";
import { exchange, httpDoor } from "./door.ts";

const start = httpDoor();

describe("a path", () => {
  const { service } = start();
  const ask = async (target: string, method = "GET") =>
    exchange(service.port, `${method} ${target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`, /^$/);
  const bodyOf = (text: string): unknown => JSON.parse(text.slice(text.indexOf("\r\n\r\n") + 4));

  test.each([
    ["/things/ORD%2D1/parts", ["things", "ORD-1", "parts"]],
    ["/%74hings/1/p%61rts", ["things", "1", "parts"]],
    ["/things/caf%C3%A9/parts?x=%2", ["things", "café", "parts"]],
    ["/things/a%2Fb/parts", ["things", "a/b", "parts"]],
    ["/things/%252F/parts", ["things", "%2F", "parts"]],
    ["/x/../things/1/./parts", ["things", "1", "parts"]],
    ["/things/%61ll/parts?a=%31", ["all", "1"]],
  ])("that is escaped is the same address: %s", async (target, expected) => {
    expect(bodyOf(await ask(target))).toEqual(expected);
  });

  test.each(["/things/%ff/parts", "/things/%zz/parts", "/things/%/parts", "/%c0%af", "/nowhere%e2%82"])(
    "with escapes that are none is 400: %s",
    async (target) => {
      expect(bodyOf(await ask(target))).toMatchObject({ status: 400, code: "PATH_INVALID" });
    },
  );

  test.each([
    "/things%2F1/parts",
    "/things%2Fall/parts",
    "/things/1%2Fparts",
    "/things//parts",
    "//things/1/parts",
    "/things/1/parts/",
    "/%2F",
  ])("of other segments is another address: %s", async (target) => {
    expect(bodyOf(await ask(target))).toMatchObject({ status: 404 });
  });

  test("is named in 405 and answered to OPTIONS and HEAD when it is escaped, too", async () => {
    expect(await ask("/%77ho", "DELETE")).toMatch(/^HTTP\/1\.1 405 .*allow: GET, HEAD, OPTIONS/is);
    expect(await ask("/%77ho", "OPTIONS")).toMatch(/^HTTP\/1\.1 204 /);
    expect(await ask("/%77ho", "HEAD")).toMatch(/^HTTP\/1\.1 200 [^{]*\r\n\r\n$/s);
  });

  test("that is none is 400", async () => {
    expect(await exchange(service.port, "CONNECT a:80 HTTP/1.1\r\nHost: localhost\r\n\r\n")).toMatch(/^HTTP\/1\.1 400 /);
    expect(() => HttpRequest.of({ url: "a:80", method: "CONNECT", headers: new Headers() } as Request)).toThrow();
  });
});
