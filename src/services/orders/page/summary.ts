import type { LiveFigures, PartitionFigures, ShownMember } from "../live/live-figures.ts";
import { byId, setText } from "./elements.ts";
import { count, countOr, milliseconds, plural, seconds, timeOfDay } from "./format.ts";
import { h } from "./elements.ts";

/**
 * The service's status in one sentence, and the figures below it. A screen reader reads the sentence out whenever it
 * changes, so it has no figures that keep changing.
 */
export class Summary {
  readonly #dot = byId("status").children[0] as HTMLElement;
  readonly #sentence = byId("status").children[1] as HTMLElement;
  readonly #values = new Map<string, HTMLElement>();
  #lastAt_ms: number | undefined;

  constructor() {
    const figures = [
      ["appended", "events in", "What carts and other programs append to the partitions."],
      ["applied", "applied", "What the actors apply."],
      ["lag", "lag", "Events in the log that are not applied yet."],
      [
        "readable",
        "written → readable",
        "From an event's time to when a query sees it: the median and the 99th percentile of the last second, at the slowest order service.",
      ],
      ["orders", "orders", "Orders in the partitions."],
      ["held", "held updates", "Updates that came before their order's create, and wait for it."],
      ["dead", "dead letters", "Records in the dead-letter topic."],
    ] as const;
    for (const [name, term, title] of figures) {
      const value = h("dd", {}, "–");
      this.#values.set(name, value);
      byId("figures").append(h("div", { title }, h("dt", {}, term), value));
    }
  }

  show(figures: LiveFigures): void {
    this.#lastAt_ms = figures.at_ms;
    document.body.classList.remove("stale");
    const isAllRunning = figures.status !== "ready" || figures.partitions.length === 0 || shortfall(figures) === undefined;
    this.#say(isAllRunning ? figures.status : "catching-up", sentence(figures));
    // A part of the fleet is not told as the whole.
    const atLeast = (text: string) => (figures.isWhole || text === "–" ? text : `≥ ${text}`);
    this.#set("appended", atLeast(`${count(figures.appended_per_s)}/s`));
    this.#set("applied", atLeast(`${count(figures.applied_per_s)}/s`));
    this.#set("lag", atLeast(count(figures.lag)));
    const { readable } = figures;
    this.#set("readable", readable ? `${milliseconds(readable.p50_ms)} · ${milliseconds(readable.p99_ms)}` : "–");
    this.#set("orders", atLeast(countOr(figures.orders)));
    this.#set("held", atLeast(countOr(figures.held)));
    const { letters, isComplete } = figures.deadLetters;
    this.#set("dead", `${count(letters)}${isComplete ? "" : "…"}`);
    showRestore(figures);
    showWarnings(figures);
  }

  showStale(): void {
    document.body.classList.add("stale");
    const since = this.#lastAt_ms === undefined ? "" : ` What is shown is from ${timeOfDay(this.#lastAt_ms)}.`;
    this.#say("stale", `No live data; trying again.${since}`);
  }

  #say(state: string, text: string): void {
    this.#dot.dataset["state"] = state;
    setText(this.#sentence, text);
  }

  #set(name: string, text: string): void {
    const value = this.#values.get(name);
    if (value) setText(value, text);
  }
}

type Standing = Pick<LiveFigures, "status" | "reason" | "since_ms" | "members" | "partitions" | "partitionCount">;

/** The status in a sentence. */
export function sentence(figures: Standing): string {
  const { status, reason, since_ms, members, partitions, partitionCount } = figures;
  const held =
    partitions.length === partitionCount
      ? `all ${plural(partitionCount, "partition", "partitions")}`
      : `${partitions.length} of ${plural(partitionCount, "partition", "partitions")}`;
  const where = members.length === 1 ? "here" : `on ${members.length} order services`;
  const since = since_ms === undefined ? "" : ` Since ${timeOfDay(since_ms)}.`;
  const why = reason === undefined ? "" : ` ${reason}${since}`;
  switch (status) {
    case "ready":
      if (partitions.length === 0) return "Ready; no partition is held here.";
      return shortfall(figures, why) ?? `Up to date: ${held} running ${where}.`;
    case "catching-up":
      return partitionCount === 0 ? `Waiting for the topic.${why}` : `Catching up with the log: ${held} ${where}.${why}`;
    case "halted":
    case "blocked":
    case "suspended":
      return `${named(numbersOf(partitions.filter(({ state }) => state === status)))} ${status}.${why}`;
    case "unreadable":
      return `The log cannot be read.${why}`;
    case "standing-still":
      return `Nothing is applied although the log goes on.${why}`;
    case "unreachable":
      return `Not all order services answer: ${silentUrls(members)}.`;
    case "waiting":
      return `Waiting: another process holds the group.${why}`;
    default:
      return reason === undefined ? `Joining the group (${status}).` : `${reason}${since}`;
  }
}

/**
 * What lacks although each order service is ready: partitions that the log does not give them, or that none of them holds,
 * as while they move. Undefined if nothing does. `why` tells of the first of them that is held.
 */
function shortfall({ partitions, partitionCount }: Standing, why = ""): string | undefined {
  const stays = partitions.filter(({ state, reason }) => state !== "running" || reason !== undefined);
  const held = new Set(numbersOf(partitions));
  const unheld = Array.from({ length: partitionCount }, (_, partition) => partition).filter((one) => !held.has(one));
  if (stays.length === 0 && unheld.length === 0) return undefined;
  const running = `${partitions.length - stays.length} of ${plural(partitionCount, "partition", "partitions")} running.`;
  const hindered = stays.length > 0 ? ` ${named(numbersOf(stays))} not up to date.` : "";
  return `${running}${hindered}${why}${unheld.length === 0 ? "" : ` ${named(unheld)} held by no order service that is known here.`}`;
}

const named = (numbers: readonly number[]): string =>
  numbers.length === 1 ? `Partition ${numbers[0]} is` : `Partitions ${numbers.join(", ")} are`;

const numbersOf = (partitions: readonly PartitionFigures[]): number[] => partitions.map(({ partition }) => partition);

const silentUrls = (members: readonly ShownMember[]): string =>
  members.flatMap(({ status, url }) => (status === "unreachable" ? [url ?? "one without a URL"] : [])).join(", ");

/** Without its reason, which changes while it is tried again and again: a screen reader would read that each time. */
const silence = ({ url, partitions }: ShownMember): string =>
  `The order service ${url === undefined ? "that does not say its URL" : `at ${url}`} does not answer. ${
    partitions.length === 0
      ? "It holds no partitions."
      : `What it holds is not in the figures: ${partitions.length === 1 ? "partition" : "partitions"} ${partitions.join(", ")}.`
  }`;

/**
 * Shows the banner below the bar. It is replaced only when its text changes, so that a screen reader reads it once.
 */
function showWarnings({ warnings = [], members }: LiveFigures): void {
  const list = byId("warnings");
  const silent = members.filter(({ status }) => status === "unreachable");
  const details = [...silent.map(silence), ...warnings.map(({ detail }) => detail)];
  list.hidden = details.length === 0;
  if (details.join("\n") === [...list.children].map(({ textContent }) => textContent).join("\n")) return;
  list.replaceChildren(...details.map((detail) => h("p", {}, detail)));
}

function showRestore({ restore }: LiveFigures): void {
  byId("restore").hidden = restore === undefined;
  if (!restore) return;
  const bar = byId("restore-bar") as HTMLProgressElement;
  bar.max = restore.records_total;
  bar.value = restore.records;
  const percent = restore.records_total === 0 ? 0 : Math.floor((restore.records / restore.records_total) * 100);
  const left = restore.records_per_s === 0 ? "" : ` · ${count(restore.records_per_s)}/s · about ${seconds(restore.left_s)} left`;
  setText(byId("restore-text"), `${percent} % of ${plural(restore.records_total, "record", "records")}${left}`);
}
