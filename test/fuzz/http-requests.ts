import type { Random } from "../../src/system/random.ts";
import { happens, pick } from "../support/random.ts";
import { anotherOrder, bodyOf, damaged, framing, oddly } from "./http-bodies.ts";
import { METHODS, VERSIONS, HOSTS, PATHS, ODD_TEXTS, HEADERS, HEADER_TEXTS, BODIES, type Service } from "./http-samples.ts";

/** Bytes for a connection, as a client that is careless, broken or hostile may send them. */
export interface RawRequest {
  readonly bytes: Buffer;
  /** Whether nothing more is to come, so that an answer is due. */
  readonly isWhole: boolean;
}

/** One request, or now and then two on one connection. The same random numbers give the same request. */
export function rawRequest(random: Random, service: Service): RawRequest {
  const one = oneRequest(random, service);
  if (!one.isWhole || !happens(random, 0.03)) return one;
  const next = oneRequest(random, service);
  return { bytes: Buffer.concat([one.bytes, next.bytes]), isWhole: true };
}

/** A command in which nothing is odd but the values of its fields. */
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
  // A target is sent as latin1; other characters are sent as a client that writes UTF-8 sends them.
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
