import type { LiveFigures } from "../live/live-figures.ts";
import { byId, h } from "./elements.ts";
import { count, countOr } from "./format.ts";

/**
 * Shows the picture's figures as a table, for a screen reader and for copying; it is written only while it is open.
 */
export function showTable({ partitions }: LiveFigures): void {
  const details = byId("table") as HTMLDetailsElement;
  if (!details.open) return;
  const names = ["Partition", "State", "Applied up to", "End", "Lag", "Applied/s", "Orders", "Held", "Dead letters"];
  const rows = partitions.map((one) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, String(one.partition)),
      ...[
        one.state,
        count(one.offset),
        count(one.end),
        count(one.lag),
        count(one.applied_per_s),
        countOr(one.orders),
        countOr(one.held),
        count(one.deadLetters),
      ].map((text) => h("td", {}, text)),
    ),
  );
  const head = h("thead", {}, h("tr", {}, ...names.map((name) => h("th", { scope: "col" }, name))));
  details
    .querySelector(".scroll")
    ?.replaceChildren(h("table", {}, h("caption", {}, "Partitions held here"), head, h("tbody", {}, ...rows)));
}
