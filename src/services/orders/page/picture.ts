import type { LiveFigures, PartitionFigures } from "../live/live-figures.ts";
import { setText, svg } from "./elements.ts";
import { count, countOr, plural } from "./format.ts";

/** More rows than this cannot be taken in at a glance; then only those partitions that need attention are drawn. */
const ROWS_MAX = 48;
const NARROW_PX = 720;
/** The lag's logarithmic scale: a lag of 10^6 fills the bar of the longest partition. */
const LAG_DECADES = 6;

interface Layout {
  readonly width: number;
  readonly isNarrow: boolean;
  readonly row: number;
  readonly top: number;
  /** Where the bar that stands for the partition begins and ends; `actor` is where its actor stands. */
  readonly tape: readonly [number, number];
  readonly actor: number;
}

interface Row {
  readonly group: SVGGElement;
  readonly flow: SVGPathElement;
  readonly tape: SVGRectElement;
  readonly lagBar: SVGRectElement;
  readonly dot: SVGCircleElement;
  readonly texts: Readonly<Record<"end" | "lag" | "state" | "rate" | "held" | "dead", SVGTextElement>>;
  readonly title: SVGTitleElement;
}

/**
 * Draws carts → partitions → actors, one row per partition. It is redrawn when the partitions or the width change;
 * otherwise only what changed is set.
 */
export class Picture {
  #figures: LiveFigures | undefined;
  #drawn = "";
  #rows = new Map<number, Row>();
  #cartsRate: SVGTextElement | undefined;
  #deadRate: SVGTextElement | undefined;

  constructor(private readonly host: HTMLElement) {
    new ResizeObserver(() => this.#figures && this.show(this.#figures)).observe(host);
  }

  show(figures: LiveFigures): void {
    this.#figures = figures;
    const shown = rowsOf(figures);
    const width = Math.max(300, Math.floor(this.host.clientWidth));
    const drawing = `${width} ${shown.join(",")} ${figures.partitionCount} ${figures.partitions.map(({ partition }) => partition).join(",")}`;
    if (drawing !== this.#drawn) this.#draw(figures, shown, width);
    this.#drawn = drawing;
    const end_max = Math.max(1, ...figures.partitions.map(({ end }) => end));
    for (const one of figures.partitions) this.#set(one, one.end / end_max);
    if (this.#cartsRate) setText(this.#cartsRate, `${count(figures.appended_per_s)}/s`);
    if (this.#deadRate) setText(this.#deadRate, plural(figures.deadLetters.letters, "dead letter", "dead letters"));
  }

  /** Highlights a partition's row for a moment, because an event of the reader's went through it. */
  flash(partition: number): void {
    const group = this.#rows.get(partition)?.group;
    group?.classList.remove("flash");
    // Reading the layout makes the browser take the class for a new one.
    group?.getBoundingClientRect();
    group?.classList.add("flash");
  }

  #draw(figures: LiveFigures, shown: readonly number[], width: number): void {
    const layout = layoutOf(width, shown.length);
    const { row, top, tape, isNarrow, actor } = layout;
    const bottom = top + shown.length * row;
    const left = figures.partitionCount - shown.length;
    const height = bottom + 34;
    const held = new Map(figures.partitions.map((one) => [one.partition, one]));
    this.#rows = new Map();
    this.#cartsRate = svg("text", { class: "number strong" }, "");
    this.#deadRate = svg("text", { x: actor + (isNarrow ? 0 : 14), y: bottom + 22, class: "number" }, "");
    const picture = svg(
      "svg",
      {
        width,
        height,
        viewBox: `0 0 ${width} ${height}`,
        role: "img",
        "aria-label": "The pipeline as a picture; its figures are in the table below.",
      },
      ...headings(layout),
      ...carts(layout, bottom, this.#cartsRate),
      ...shown.map((partition, index) => {
        const y = top + index * row + row / 2;
        const drawn = drawRow(layout, partition, y, (top + bottom) / 2, held.has(partition));
        if (held.has(partition)) this.#rows.set(partition, drawn);
        return drawn.group;
      }),
      svg("path", { class: "dead-line", d: `M ${actor + (isNarrow ? -14 : 0)} ${bottom - row / 2 + 8} V ${bottom + 18} h 8` }),
      this.#deadRate,
      left > 0
        ? svg("text", { x: tape[0], y: bottom + 22, class: "quiet" }, `${count(left)} more, running with nothing waiting`)
        : undefined,
    );
    this.host.replaceChildren(picture);
  }

  /** `share` is the partition's length in proportion to the longest one's. */
  #set(one: PartitionFigures, share: number): void {
    const row = this.#rows.get(one.partition);
    if (!row) return;
    const { texts } = row;
    setText(texts.end, count(one.end));
    setText(texts.lag, one.lag === 0 ? "0" : count(one.lag));
    setText(texts.state, one.state);
    setText(texts.rate, one.applied_per_s === 0 ? "" : `${count(one.applied_per_s)}/s`);
    setText(texts.held, one.held ? count(one.held) : "");
    setText(texts.dead, one.deadLetters ? count(one.deadLetters) : "");
    texts.lag.classList.toggle("strong", one.lag > 0);
    const full = Number(row.tape.dataset["full"]);
    const length = Math.round(full * share);
    const lagLength = Math.min(length, Math.round((full * Math.log10(1 + one.lag)) / LAG_DECADES));
    row.tape.setAttribute("width", String(length));
    row.lagBar.setAttribute("width", String(lagLength));
    row.lagBar.setAttribute("x", String(Number(row.tape.getAttribute("x")) + length - lagLength));
    row.dot.dataset["state"] = one.state;
    row.flow.classList.toggle("flowing", one.applied_per_s > 0);
    setText(
      row.title,
      `Partition ${one.partition}: ${one.state}, next offset ${count(one.offset)}, log's end ${count(one.end)}, ${countOr(one.orders)} orders.${one.owner === undefined ? "" : ` Held by ${one.owner}.`} ${one.reason ?? ""}`,
    );
  }
}

function rowsOf({ partitions, partitionCount }: LiveFigures): number[] {
  const all = Array.from({ length: partitionCount }, (_, partition) => partition);
  if (partitionCount <= ROWS_MAX) return all;
  const weight = ({ state, lag, held, deadLetters }: PartitionFigures) =>
    (state === "halted" ? 1e12 : state === "running" ? 0 : 1e9) + lag + (held ?? 0) + deadLetters;
  const worst = partitions.filter((one) => weight(one) > 0).toSorted((a, b) => weight(b) - weight(a));
  return worst
    .slice(0, ROWS_MAX)
    .map(({ partition }) => partition)
    .toSorted((a, b) => a - b);
}

function layoutOf(width: number, rows: number): Layout {
  const isNarrow = width < NARROW_PX;
  const row = isNarrow ? 30 : rows > 24 ? 20 : 25;
  const tape: [number, number] = isNarrow ? [46, width - 236] : [206, Math.round(206 + width * 0.2)];
  return { width, isNarrow, row, top: isNarrow ? 76 : 26, tape, actor: isNarrow ? width - 154 : Math.round(width * 0.62) };
}

/** Where each column of figures ends; those right of the actor are placed relative to it. */
const columnsOf = ({ width, actor, isNarrow, tape }: Layout) => ({
  end: isNarrow ? tape[1] : tape[1] + 96,
  lag: isNarrow ? actor - 20 : tape[1] + 172,
  state: actor + (isNarrow ? 0 : 14),
  rate: isNarrow ? -1 : Math.round(actor + (width - actor) * 0.55),
  held: isNarrow ? width - 38 : Math.round(actor + (width - actor) * 0.77),
  dead: isNarrow ? width - 2 : width - 2,
});

function headings(layout: Layout): SVGElement[] {
  const { isNarrow, tape, top } = layout;
  const at = columnsOf(layout);
  const y = top - 10;
  const text = (x: number, label: string, isEnd = true) => svg("text", { x, y, class: isEnd ? "head end" : "head" }, label);
  return isNarrow
    ? [
        text(tape[0] - 22, "partition", false),
        text(at.lag, "lag"),
        text(at.state, "actor", false),
        text(at.held, "held"),
        text(at.dead, "dead"),
      ]
    : [
        text(tape[0] - 22, "partition", false),
        text(at.end, "end"),
        text(at.lag, "lag"),
        text(at.state, "actor", false),
        text(at.rate, "applied"),
        text(at.held, "held"),
        text(at.dead, "dead letters"),
      ];
}

function carts({ isNarrow, width, top }: Layout, bottom: number, rate: SVGTextElement): SVGElement[] {
  if (isNarrow) {
    rate.setAttribute("x", String(width - 12));
    rate.setAttribute("y", "22");
    rate.classList.add("end");
    return [
      svg("rect", { class: "box", x: 0.5, y: 0.5, width: width - 1, height: 34, rx: 4 }),
      svg("text", { x: 12, y: 22, class: "strong" }, "carts"),
      rate,
      svg("path", { class: "spine", d: `M 8 35 V ${bottom - 15}` }),
    ];
  }
  const middle = (top + bottom) / 2;
  rate.setAttribute("x", "52");
  rate.setAttribute("y", String(middle + 14));
  rate.classList.add("middle");
  return [
    svg("rect", { class: "box", x: 0.5, y: middle - 30.5, width: 104, height: 60, rx: 4 }),
    svg("text", { x: 52, y: middle - 5, class: "strong middle" }, "carts"),
    rate,
  ];
}

function drawRow(layout: Layout, partition: number, y: number, middle: number, isHeld: boolean): Row {
  const { isNarrow, tape, actor } = layout;
  const [from, to] = tape;
  const at = columnsOf(layout);
  const label = (x: number, className: string, text = "") => svg("text", { x, y: y + 4, class: className }, text);
  const texts = {
    end: label(at.end, "number end quiet"),
    lag: label(at.lag, "number end"),
    state: label(at.state, "state"),
    rate: label(at.rate, "number end"),
    held: label(at.held, "number end"),
    dead: label(at.dead, "number end"),
  };
  const begin = isNarrow ? `M 8 ${y} H ${from - 26}` : `M 105 ${middle} C 150 ${middle}, 140 ${y}, ${from - 28} ${y}`;
  const flow = svg("path", { class: "flow", d: begin });
  const lagBar = svg(
    "rect",
    { class: "lag", y: y - 5, x: from, width: 0, height: 10 },
    svg("title", {}, "The lag, on a logarithmic scale"),
  );
  const dot = svg("circle", { class: "dot", cx: actor - (isNarrow ? 10 : 0), cy: y, r: 4.5 });
  const title = svg("title", {}, isHeld ? "" : `No order service that answers holds partition ${partition}.`);
  const track = svg("rect", {
    class: isHeld ? "track" : "track untold",
    x: from,
    y: y - 5,
    width: to - from,
    height: 10,
    rx: 1,
  });
  const tapeRect = svg("rect", { class: "tape", x: from, y: y - 5, width: 0, height: 10, rx: 1 });
  tapeRect.dataset["full"] = String(to - from);
  const number = svg("text", { x: from - 8, y: y + 4, class: "number end strong" }, String(partition));
  const parts = isHeld
    ? [
        flow,
        number,
        track,
        tapeRect,
        lagBar,
        svg("path", { class: "link", d: isNarrow ? "" : `M ${at.lag + 10} ${y} H ${actor - 10}` }),
        dot,
        ...(isNarrow ? [] : [texts.end, texts.rate]),
        texts.lag,
        texts.state,
        texts.held,
        texts.dead,
      ]
    : [flow, number, track, svg("text", { x: at.state, y: y + 4, class: "quiet" }, "not told")];
  const band = svg("rect", {
    class: "band",
    x: from - 28,
    y: y - layout.row / 2,
    width: layout.width - from + 28,
    height: layout.row,
  });
  return { group: svg("g", {}, title, band, ...parts), flow, tape: tapeRect, lagBar, dot, texts, title };
}
