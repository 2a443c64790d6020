import { parseArgs } from "node:util";
import { AppError } from "../errors.ts";
import { normalizeDateTime } from "../orders/date-time.ts";
import { normalizeOrderId } from "../orders/order-id.ts";
import { OPERATION_ID } from "./files/plan-file.ts";
import type { Config } from "../config/config.ts";
import type { Selection } from "./scan/selection.ts";

export const RATE_MAX = 1_000_000;
/** The most names in one list, which Connect gets in one environment variable (Linux: at most 128 KiB). */
const LIST_MAX = 1_000;

type LiveTopics = Pick<Config, "orders_topic" | "dead_letter_topic">;

/** The names that a list option takes. */
export const NAME = /^[A-Za-z0-9._-]{1,128}$/;

type Kind = "text" | "flag";
type Values<Kinds extends Readonly<Record<string, Kind>>> = {
  readonly [name in keyof Kinds]: (Kinds[name] extends "flag" ? boolean : string) | undefined;
};

/**
 * Reads the options by name; `--from -1h` is read as `--from=-1h`. Throws OPTION_INVALID on an unknown option, on a
 * missing or empty value, and on an argument that is not an option.
 */
export function readOptions<const Kinds extends Readonly<Record<string, Kind>>>(
  args: readonly string[],
  kinds: Kinds,
): Values<Kinds> {
  const options = Object.fromEntries(
    Object.entries(kinds).map(([name, kind]) => [name, { type: kind === "flag" ? "boolean" : "string" } as const]),
  );
  try {
    const { values } = parseArgs({ args: joined(args), options });
    for (const [name, value] of Object.entries(values)) if (value === "") throw new Error(`--${name} is empty.`);
    return values as Values<Kinds>;
  } catch (e) {
    throw invalid(e instanceof Error ? e.message : String(e));
  }
}

const joined = (args: readonly string[]): string[] => {
  const list: string[] = [];
  for (const arg of args) {
    const last = list.at(-1);
    if ((last === "--from" || last === "--to") && RELATIVE.test(arg)) list[list.length - 1] = `${last}=${arg}`;
    else list.push(arg);
  }
  return list;
};

export const invalid = (message: string): AppError => new AppError("OPTION_INVALID", message);

const RELATIVE = /^-(?<count>[0-9]{1,6})(?<unit>[smhd])$/;
const UNITS_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/**
 * Reads an RFC 3339 time such as `2026-11-25T00:00:00Z` (UTC where it has no zone) or a time before now such as
 * `-90s`, `-15m`, `-1h` or `-2d`. Returns ms since the Unix epoch.
 */
export function readTime(name: string, given: string | undefined, now_ms: number): number | undefined {
  if (given === undefined) return undefined;
  const { count, unit } = RELATIVE.exec(given)?.groups ?? {};
  if (count !== undefined && unit !== undefined) return now_ms - Number(count) * (UNITS_MS[unit] ?? 0);
  const time = normalizeDateTime(given);
  if (time === undefined)
    throw invalid(
      `--${name} is ${given}; it must be a time such as 2026-11-25T00:00:00Z, or back from now: -90s, -15m, -1h, -2d.`,
    );
  return Date.parse(time);
}

export function readList(name: string, given: string | undefined): string[] | undefined {
  if (given === undefined) return undefined;
  const list = [...new Set(given.split(",").map((one) => one.trim()))];
  if (list.includes("") || list.length > LIST_MAX) throw invalid(`--${name} must be 1 to ${LIST_MAX} names separated by commas.`);
  const bad = list.find((one) => !NAME.test(one));
  if (bad !== undefined)
    throw invalid(`--${name} has ${JSON.stringify(bad)}; names are letters, digits, dots, underscores and hyphens.`);
  return list;
}

export function readOrders(given: string | undefined): string[] | undefined {
  const orders = readList("orders", given)?.map((id) => {
    const orderId = normalizeOrderId(id);
    if (orderId === undefined) throw invalid(`--orders has ${id}; an order id is ORD- and 1 to 64 digits, or the digits alone.`);
    return orderId;
  });
  return orders && [...new Set(orders)];
}

export function readTopic(name: string, given: string): string {
  if (/^(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}$/.test(given)) return given;
  throw invalid(`--${name} is ${given}; a topic has 1 to 249 letters, digits, dots, underscores and hyphens.`);
}

/** Throws OPTION_INVALID where the services read the target and --yes was not given. */
export function requireYes(target: string, yes: boolean | undefined, { orders_topic, dead_letter_topic }: LiveTopics): void {
  if (yes) return;
  if (target === orders_topic) throw invalid(`${target} is the live topic; with --yes it is written to.`);
  if (target === dead_letter_topic)
    throw invalid(`${target} is the live dead-letter topic, where each record is a letter; with --yes it is written to.`);
}

export function readCount(name: string, given: string | undefined, most: number): number | undefined {
  if (given === undefined) return undefined;
  const count = /^[0-9]{1,9}$/.test(given) ? Number(given) : 0;
  if (count >= 1 && count <= most) return count;
  throw invalid(`--${name} is ${given}; it must be an integer from 1 to ${most}.`);
}

/** The run's id: the given one, or a unique one that sorts by the run's start. */
export function readId(given: string | undefined, now_ms: number, uuid: string): string {
  if (given === undefined) return `${new Date(now_ms).toISOString().replace(/[-:]|\.[0-9]{3}Z/g, "")}-${uuid.slice(0, 4)}`;
  if (OPERATION_ID.test(given)) return given;
  throw invalid(`--id is ${given}; it must be 1 to 64 letters, digits, dots, underscores and hyphens.`);
}

export function readWindow(
  from: string | undefined,
  to: string | undefined,
  now_ms: number,
): Pick<Selection, "from_ms" | "to_ms"> {
  const window = { from_ms: readTime("from", from, now_ms), to_ms: readTime("to", to, now_ms) };
  if (window.from_ms !== undefined && window.to_ms !== undefined && window.from_ms >= window.to_ms) {
    throw invalid("--from must be before --to.");
  }
  return window;
}
