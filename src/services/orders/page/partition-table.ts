import type { LiveFigures, PartitionFigures, ShownMember } from "../live/live-figures.ts";
import { byId, h } from "./elements.ts";
import { count, countOr, seconds } from "./format.ts";

const COLUMNS: readonly (readonly [name: string, text: (one: PartitionFigures) => string])[] = [
  ["State", ({ state }) => state],
  ["Applied up to", ({ offset }) => count(offset)],
  ["End", ({ end }) => count(end)],
  ["Lag", ({ lag }) => count(lag)],
  ["Applied/s", (one) => count(one.applied_per_s)],
  ["Orders", ({ orders }) => countOr(orders)],
  ["Held", ({ held }) => countOr(held)],
  ["Dead letters", ({ deadLetters }) => count(deadLetters)],
  ["Owner", ({ owner }) => owner ?? "–"],
  ["Standbys", ({ standbys = [] }) => standbys.map(standbyText).join(", ") || "–"],
  ["Snapshot", ({ snapshot }) => (snapshot ? `${seconds(snapshot.age_s)} old` : "–")],
];

const standbyText = ({ url, lag, isReady }: NonNullable<PartitionFigures["standbys"]>[number]): string =>
  `${url ?? "one without a URL"}${isReady ? "" : `, ${count(lag)} behind`}`;

/**
 * Shows the picture's figures as a table, and who holds what as another one where there are several, for a screen reader
 * and for copying; they are written only while they are open.
 */
export function showTable({ partitions, members }: LiveFigures): void {
  const details = byId("table") as HTMLDetailsElement;
  if (!details.open) return;
  const rows = partitions.map((one) => [String(one.partition), ...COLUMNS.map(([, text]) => text(one))]);
  const tables = [table("Partitions", ["Partition", ...COLUMNS.map(([name]) => name)], rows)];
  if (members.length > 1)
    tables.push(table("Order services", ["Order service", "Status", "Holds", "Follows", "Why"], members.map(memberRow)));
  details.querySelector(".scroll")?.replaceChildren(...tables);
}

const memberRow = ({ url, status, partitions, standbys, reason }: ShownMember): string[] => [
  url ?? "–",
  status,
  partitions.join(", ") || "–",
  standbys.join(", ") || "–",
  reason ?? "",
];

/** The first cell of a row is its name. */
const table = (caption: string, names: readonly string[], rows: readonly (readonly string[])[]): HTMLElement =>
  h(
    "table",
    {},
    h("caption", {}, caption),
    h("thead", {}, h("tr", {}, ...names.map((name) => h("th", { scope: "col" }, name)))),
    h(
      "tbody",
      {},
      ...rows.map(([name = "", ...texts]) =>
        h("tr", {}, h("th", { scope: "row" }, name), ...texts.map((text) => h("td", {}, text))),
      ),
    ),
  );
