import type { Random } from "../../src/system/random.ts";

/** Bytes for a connection, as a client that is careless, broken or hostile may send them. */
export interface RawRequest {
  readonly bytes: Buffer;
  /** Nothing more is to come, so an answer is due. */
  readonly isWhole: boolean;
}

/** The service that a request is meant for. */
export type Service = "cart" | "orders";

const METHODS = [
  "GET",
  "GET",
  "GET",
  "POST",
  "POST",
  "PUT",
  "DELETE",
  "HEAD",
  "OPTIONS",
  "PATCH",
  "TRACE",
  "CONNECT",
  "BREW",
  "get",
  "",
];
const VERSIONS = [
  "HTTP/1.1",
  "HTTP/1.1",
  "HTTP/1.1",
  "HTTP/1.1",
  "HTTP/1.0",
  "HTTP/0.9",
  "HTTP/2.0",
  "HTTP/1.1 ",
  "http/1.1",
  "",
];
const HOSTS = [
  "127.0.0.1",
  "localhost:1",
  "[::1]",
  "",
  "a b",
  "[::1",
  "x:99999",
  "%zz",
  "\u00ff",
  "u@h",
  "evil.example",
  "1.2.3.256",
  "127.1",
  "xn--a",
  "a..b",
  "a/b?c",
];

const PATHS: Readonly<Record<Service, readonly string[]>> = {
  cart: [
    "/create-order",
    "/create-order",
    "/update-order",
    "/",
    "/health/live",
    "/health/ready",
    "/metrics",
    "/openapi.json",
    "/docs",
    "/docs/swagger-ui.css",
  ],
  orders: [
    "/order-details?orderId=1",
    "/getAllOrderIdsFromTopic?topicName=orders.events",
    "/orders/ORD-1/events?limit=5&after=x",
    "/dead-letters?limit=3&reason=not_json&after=0.1",
    "/partitions",
    "/partitions/0/orders?after=ORD-1&limit=2",
    "/partitions/0/rebuild",
    "/live",
    "/try/create-order",
    "/try/update-order",
    "/assets/none.js",
    "/health/ready",
    "/asyncapi.json",
    "/",
  ],
};

/** What may stand in a path's segment, a parameter, a header or a string of a body, and is odd in one of them. */
const ODD_TEXTS = [
  "%",
  "%2",
  "%zz",
  "%ff",
  "%00",
  "%2F",
  "%2e%2e",
  "%c0%af",
  "%ed%a0%80",
  "%F0%9F%98%80",
  "..",
  ".",
  "//",
  "\\",
  "|",
  "^",
  "{}",
  "[",
  "'",
  '"',
  ";",
  "?",
  "#",
  "&&",
  "=",
  "caf\u00e9",
  "\u00ff",
  "\u0001",
  "\u007f",
  "\t",
  "-1",
  "0",
  "1e9",
  "99999999999999999999",
  "NaN",
  "null",
  "true",
  "__proto__",
  "constructor",
  "*",
  "0:5",
  "0:900000000",
  "99:1",
  "1.1_2.2",
  "0.999999999999999",
  "eyJwIjowfQ",
  "AAAA",
  "ORD-",
  "ORD-1",
  "ORD-99999999999999999999999999999999",
  "orders.events",
  "x".repeat(300),
  "x".repeat(9_000),
];
const HEADERS = [
  "Content-Type",
  "Idempotency-Key",
  "Log-Position",
  "traceparent",
  "tracestate",
  "Authorization",
  "Connection",
  "Content-Encoding",
  "Accept",
  "Accept-Encoding",
  "Range",
  "If-None-Match",
  "Upgrade",
  "Cookie",
  "Origin",
  "X-Forwarded-For",
  "X-Forwarded-Host",
  "Expect",
  "Trailer",
  "TE",
  "Last-Event-ID",
  "Sec-Fetch-Site",
];
const HEADER_TEXTS: Readonly<Record<string, readonly string[]>> = {
  "Content-Type": ["application/json", "application/json", "text/plain", "application/x+json; charset=utf-16", "a/b/c", ";"],
  "Idempotency-Key": ['"k"', "k", '"k', '"', "\u00e4", '"a","b"', '"\\"'],
  "Log-Position": ["0:0", "0:900000000", "1:-1", "9:9", "0:9007199254740991", "0:1,0:2"],
  traceparent: ["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "ff-0-0-0", "00-0"],
  tracestate: ["a=1", "a=1,,b=2", "a==", "A=1"],
  Authorization: ["Bearer x", "Bearer", "Basic eA==", "Bearer \u00ff"],
  Connection: ["close", "keep-alive", "upgrade", "close, close"],
  Expect: ["100-continue", "100-Continue", "x"],
  Upgrade: ["websocket", "h2c"],
  "Content-Encoding": ["gzip", "identity"],
};
const BODIES = [
  '{"order_id":"1","number_of_items":3}',
  '{"orderId":"ORD-7","numberOfItems":1,"customerId":"c","currency":"EUR"}',
  '{"order_id":"2","customer_id":"CUST-1","currency":"JPY","items":[{"item_id":"A","quantity":2,"price":9.95},{"itemId":"B","quantity":1,"price":0}]}',
  '{"order_id":"1","status":"shipped"}',
  '{"orderId":"404","status":"new"}',
  "{}",
  "[]",
  "null",
  '"text"',
  "1e999",
  "",
  " ",
  '{"order_id":',
  "[".repeat(40_000),
  `{"a":`.repeat(20),
  "\ufeff{}",
];
/** What a value of a body is put in place of. */
const ODD_STRINGS = [
  '"caf\\ud83d"',
  '"\\udc00\\ud800"',
  '"\\u0000"',
  '"\\u0085"',
  '"\\u2028"',
  '"\\ufeff"',
  '"\ufeff"',
  '""',
  '"1"',
  `"${"9".repeat(65)}"`,
  `"${"\u{1f600}".repeat(65)}"`,
];
const ODD_NUMBERS = ["-0", "1.0", "1e0", "1e999", "-1", "9007199254740993", "0.005", "1e12", "1e-400"];
const ODD_VALUES = [
  ...ODD_STRINGS,
  ...ODD_NUMBERS,
  "null",
  "true",
  "[]",
  "{}",
  '{"__proto__":{"currency":"USD"}}',
  "[[[[[[]]]]]]",
  "\u00a01",
  "/* */ 1",
];

/** One request, or now and then two on one connection. The same random numbers give the same request. */
export function rawRequest(random: Random, service: Service): RawRequest {
  const one = oneRequest(random, service);
  if (!one.isWhole || !happens(random, 0.03)) return one;
  const next = oneRequest(random, service);
  return { bytes: Buffer.concat([one.bytes, next.bytes]), isWhole: true };
}

/** A command in which nothing is odd but what a field holds. */
function oddCommand(random: Random, service: Service): RawRequest {
  const [method, path] = happens(random, 0.7) ? ["POST", "/create-order"] : ["PUT", "/update-order"];
  const bodies = BODIES.filter((body) => body.includes(path === "/create-order" ? "umber" : "status") || body.includes("items"));
  const body = Buffer.from(oddly(random, anotherOrder(random, pick(random, bodies)), 0.3));
  const target = service === "cart" ? path : `/try${path}`;
  const head = [
    `${method} ${target} HTTP/1.1`,
    "Host: 127.0.0.1",
    "Content-Type: application/json",
    `Content-Length: ${body.length}`,
  ];
  return { bytes: Buffer.concat([Buffer.from(`${head.join("\r\n")}\r\n\r\n`), body]), isWhole: true };
}

function oneRequest(random: Random, service: Service): RawRequest {
  if (happens(random, 0.25)) return oddCommand(random, service);
  const target = targetOf(random, service);
  const takesBody = /create|update|rebuild/.test(target);
  const usual = target.includes("update") ? "PUT" : takesBody ? "POST" : "GET";
  const method = happens(random, 0.75) ? usual : pick(random, METHODS);
  const body = (takesBody && happens(random, 0.95)) || happens(random, 0.1) ? bodyOf(random) : undefined;
  const { framed, lines, isWhole } = framing(random, body);
  const separator = happens(random, 0.98) ? "\r\n" : pick(random, ["\n", "\r", "\r\n\r\n"]);
  const head = [
    `${method} ${target} ${happens(random, 0.9) ? "HTTP/1.1" : pick(random, VERSIONS)}`,
    ...hostOf(random),
    ...headersOf(random, body),
    ...lines,
  ];
  const bytes = Buffer.concat([Buffer.from(`${head.join(separator)}\r\n\r\n`, "latin1"), framed]);
  return happens(random, 0.06) ? { bytes: damaged(random, bytes), isWhole: false } : { bytes, isWhole };
}

function targetOf(random: Random, service: Service): string {
  let target = happens(random, 0.95)
    ? pick(random, PATHS[service])
    : pick(random, ["*", "nothing", "http://127.0.0.1/live", "http://evil.example/", "a:80", "//evil.example/live", "/nowhere"]);
  for (; happens(random, 0.35);) {
    const at = Math.floor(random() * (target.length + 1));
    const kind = random();
    if (kind < 0.4) target = target.slice(0, at) + pick(random, ODD_TEXTS) + target.slice(at);
    else if (kind < 0.7 && at < target.length)
      target = target.slice(0, at) + escaped(target.charCodeAt(at), random) + target.slice(at + 1);
    else if (kind < 0.85) target = target.replace(/[^/=]*$/, pick(random, ODD_TEXTS));
    else
      target += `${target.includes("?") ? "&" : "?"}${pick(random, ["orderId", "topicName", "after", "limit", "reason"])}=${pick(random, ODD_TEXTS)}`;
  }
  // A target goes as latin1; what is beyond is what a client that writes UTF-8 sends.
  return Buffer.from(target).toString("latin1");
}

const escaped = (code: number, random: Random): string => {
  const hex = (code & 0xff).toString(16).padStart(2, "0");
  return `%${happens(random, 0.5) ? hex : hex.toUpperCase()}`;
};

const hostOf = (random: Random): string[] => {
  if (happens(random, 0.8)) return ["Host: 127.0.0.1"];
  if (happens(random, 0.2)) return [];
  const hosts = [`Host: ${pick(random, HOSTS)}`];
  return happens(random, 0.1) ? [...hosts, `Host: ${pick(random, HOSTS)}`] : hosts;
};

function headersOf(random: Random, body: string | undefined): string[] {
  const lines: string[] = [];
  if (body !== undefined && happens(random, 0.9)) lines.push("Content-Type: application/json");
  for (; happens(random, 0.4);) {
    const name = pick(random, HEADERS);
    const text = happens(random, 0.7) ? pick(random, HEADER_TEXTS[name] ?? ODD_TEXTS) : pick(random, ODD_TEXTS);
    lines.push(
      happens(random, 0.97)
        ? `${name}: ${text}`
        : pick(random, [`${name} : ${text}`, name, ` ${name}: ${text}`, `: ${text}`, `${name}\u0000: x`]),
    );
  }
  return lines;
}

function bodyOf(random: Random): string {
  const body = happens(random, 0.7) ? pick(random, BODIES.slice(0, 5)) : pick(random, BODIES);
  return oddly(random, happens(random, 0.5) ? anotherOrder(random, body) : body, 0.4);
}

const anotherOrder = (random: Random, body: string): string =>
  body.replace(/"(?:ORD-)?[0-9]{1,3}"/, `"${Math.floor(random() * 1e9)}"`);

/** A body with odd values in place of its own, fields beside them and things before them; `share` of bodies get each one more. */
function oddly(random: Random, plain: string, share: number): string {
  let body = plain;
  for (let isFirst = true; isFirst || happens(random, share); isFirst = false) {
    const values = [...body.matchAll(/(?<=:)(?:"[^"]*"|[0-9.]+)/g)];
    const kind = random();
    if (kind < 0.7 && values.length > 0) {
      const value = pick(random, values);
      const alike = value[0].startsWith('"') ? ODD_STRINGS : ODD_NUMBERS;
      body =
        body.slice(0, value.index) +
        pick(random, happens(random, 0.7) ? alike : ODD_VALUES) +
        body.slice(value.index + value[0].length);
    } else if (kind < 0.85) {
      const name = pick(random, ["__proto__", "order_id", "customer_id", "note"]);
      body = body.replace("{", `{"${name}":${pick(random, ODD_VALUES)},`);
    } else body = pick(random, ["\ufeff", "\u000b", " ", "\u00a0"]) + body;
  }
  return body;
}

/** How a body is sent: with its length, in chunks, or with something wrong about either. */
function framing(random: Random, body: string | undefined): { framed: Buffer; lines: string[]; isWhole: boolean } {
  if (body === undefined) {
    const lines = happens(random, 0.95)
      ? []
      : [pick(random, ["Content-Length: 0", "Content-Length: 5", "Transfer-Encoding: chunked"])];
    return { framed: Buffer.alloc(0), lines, isWhole: lines.length === 0 };
  }
  const bytes = happens(random, 0.95) ? Buffer.from(body) : damaged(random, Buffer.from(body));
  const kind = random();
  if (kind < 0.75) return { framed: bytes, lines: [`Content-Length: ${bytes.length}`], isWhole: true };
  if (kind < 0.9) {
    const chunks = [bytes.subarray(0, 5), bytes.subarray(5)].filter(({ length }) => length > 0);
    const extension = happens(random, 0.8) ? "" : pick(random, [";a=b", ";", " ", ";\u0001", "x"]);
    const framed = chunks.flatMap((chunk) => [
      Buffer.from(`${chunk.length.toString(16)}${extension}\r\n`),
      chunk,
      Buffer.from("\r\n"),
    ]);
    const end = pick(random, [
      "0\r\n\r\n",
      "0\r\n\r\n",
      "0\r\n\r\n",
      "0\r\nTrailer: x\r\n\r\n",
      "",
      "-1\r\n",
      "fffffffffffffffff\r\n",
    ]);
    return {
      framed: Buffer.concat([...framed, Buffer.from(end)]),
      lines: ["Transfer-Encoding: chunked"],
      isWhole: end === "0\r\n\r\n" && extension === "",
    };
  }
  const lines = pick(random, [
    [`Content-Length: ${bytes.length + 10}`],
    [`Content-Length: ${Math.max(0, bytes.length - 3)}`],
    ["Content-Length: -1"],
    ["Content-Length: 99999999999999999999"],
    ["Content-Length: 1e3"],
    ["Content-Length: 3", "Content-Length: 4"],
    ["Content-Length: 3", "Transfer-Encoding: chunked"],
    ["Transfer-Encoding: gzip, chunked"],
    ["Transfer-Encoding: x"],
    [],
  ]);
  return { framed: bytes, lines, isWhole: false };
}

/** Some bytes are put in, taken out or changed. */
function damaged(random: Random, bytes: Buffer): Buffer {
  const at = Math.floor(random() * (bytes.length + 1));
  const kind = random();
  if (kind < 0.3) return bytes.subarray(0, at);
  if (kind < 0.6) return Buffer.concat([bytes.subarray(0, at), Buffer.from([Math.floor(random() * 256)]), bytes.subarray(at)]);
  return Buffer.concat([
    bytes.subarray(0, at),
    Buffer.from([Math.floor(random() * 256)]),
    bytes.subarray(at + 1 + Math.floor(random() * 4)),
  ]);
}

const happens = (random: Random, share: number): boolean => random() < share;
const pick = <T>(random: Random, all: readonly T[]): T => all[Math.floor(random() * all.length)] as T;
