import { expect, test } from "bun:test";
import { reachableUrl, urlWithPort } from "../../src/config/addresses.ts";

const known = ["fd00::2", "192.0.2.2", "198.51.100.7"];

test.each([
  ["127.0.0.1", known, "http://127.0.0.1:8001"],
  ["10.0.0.5", known, "http://10.0.0.5:8001"],
  ["fd00::9", known, "http://[fd00::9]:8001"],
  ["orders-0.internal", known, "http://orders-0.internal:8001"],
  ["0.0.0.0", known, "http://192.0.2.2:8001"],
  ["::", known, "http://192.0.2.2:8001"],
  ["::", ["fd00::2"], "http://[fd00::2]:8001"],
  // Nothing listens on IPv6 then.
  ["0.0.0.0", ["fd00::2"], "http://127.0.0.1:8001"],
  ["0.0.0.0", [], "http://127.0.0.1:8001"],
  ["::", [], "http://[::1]:8001"],
])("others reach a server on %s, of a machine with %j, at %s", (host, addresses, url) => {
  expect(reachableUrl(host, 8001, addresses)).toBe(url);
});

test.each([
  ["http://10.0.0.5:8001", "http://10.0.0.5:9000"],
  ["http://10.0.0.5", "http://10.0.0.5:9000"],
  ["http://[fd00::2]:8001/orders", "http://[fd00::2]:9000/orders"],
])("%s at another port is %s", (given, url) => {
  expect(urlWithPort(given, 9000)).toBe(url);
});
