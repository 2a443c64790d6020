import type { LiveFigures, PartitionFigures } from "../live/live-figures.ts";
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
      ["appended", "events in", "What carts and other programs append to the partitions held here."],
      ["applied", "applied", "What the actors apply."],
      ["lag", "lag", "Events in the log that are not applied yet."],
      [
        "readable",
        "written → readable",
        "From an event's time to when a query sees it: the median and the 99th percentile of the last second.",
      ],
      ["orders", "orders", "Orders in the partitions held here."],
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
    this.#say(figures.status, sentence(figures));
    this.#set("appended", `${count(figures.appended_per_s)}/s`);
    this.#set("applied", `${count(figures.applied_per_s)}/s`);
    this.#set("lag", count(figures.lag));
    const { readable } = figures;
    this.#set("readable", readable ? `${milliseconds(readable.p50_ms)} · ${milliseconds(readable.p99_ms)}` : "–");
    this.#set("orders", countOr(figures.orders));
    this.#set("held", countOr(figures.held));
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

function sentence({ status, reason, since_ms, partitions, partitionCount }: LiveFigures): string {
  const held =
    partitions.length === partitionCount
      ? `all ${plural(partitionCount, "partition", "partitions")}`
      : `${partitions.length} of ${plural(partitionCount, "partition", "partitions")}`;
  const since = since_ms === undefined ? "" : ` Since ${timeOfDay(since_ms)}.`;
  const why = reason === undefined ? "" : ` ${reason}${since}`;
  switch (status) {
    case "ready":
      return partitions.length === 0 ? "Ready; other instances hold all partitions." : `Up to date: ${held} running here.${why}`;
    case "catching-up":
      return partitionCount === 0 ? `Waiting for the topic.${why}` : `Catching up with the log: ${held} here.${why}`;
    case "halted":
    case "blocked":
    case "suspended":
      return `${partitionsIn(status, partitions)} ${status}.${why}`;
    case "unreadable":
      return `The log cannot be read.${why}`;
    case "standing-still":
      return `Nothing is applied although the log goes on.${why}`;
    case "waiting":
      return `Waiting: another process holds the group.${why}`;
    default:
      return reason === undefined ? `Joining the group (${status}).` : `${reason}${since}`;
  }
}

function partitionsIn(state: PartitionFigures["state"], partitions: readonly PartitionFigures[]): string {
  const numbers = partitions.filter((one) => one.state === state).map(({ partition }) => partition);
  return `${numbers.length === 1 ? "Partition" : "Partitions"} ${numbers.join(", ")}`;
}

/**
 * Shows the banner below the bar. It is replaced only when its text changes, so that a screen reader reads it once.
 */
function showWarnings({ warnings = [] }: LiveFigures): void {
  const list = byId("warnings");
  list.hidden = warnings.length === 0;
  const details = warnings.map(({ detail }) => detail);
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
