import { describe, expect, test } from "bun:test";
import { clientOf } from "../../src/http/http-request.ts";
import { Permits } from "../../src/http/permits.ts";
import { httpDoor } from "./door.ts";

const start = httpDoor();

describe("permits", () => {
  test("are shared: one client cannot hold them all, and each is released once", () => {
    const permits = new Permits(4, "listings");
    const first = permits.acquire("a");
    permits.acquire("a");
    expect(() => permits.acquire("a")).toThrow(/^2 listings from your address/);
    const others = ["b", "c"].map((client) => permits.acquire(client));
    expect(() => permits.acquire("d")).toThrow(/^4 listings are under way/);
    first();
    first();
    permits.acquire("d");
    expect(() => permits.acquire("e")).toThrow();
    for (const release of others) release();
    permits.acquire("a");
    expect(() => permits.acquire("a")).toThrow();
  });

  test.each([
    ["10.0.0.1", "10.0.0.1"],
    ["::ffff:10.0.0.1", "10.0.0.1"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:db8:1:2::9", "2001:db8:1:2::/64"],
    ["2001:db8::1", "2001:db8:0:0::/64"],
    ["::1", "0:0:0:0::/64"],
    ["fe80::1%eth0", "fe80:0:0:0::/64"],
    ["", ""],
  ])("count %j as the client %j: an IPv6 address by its network, an IPv4 address by itself", (address, client) => {
    expect(clientOf(address)).toBe(client);
  });

  test("count a request for the address that it comes from", async () => {
    expect(await (await fetch(`${start().service.url}/who`)).json()).toBe("127.0.0.1");
  });
});
