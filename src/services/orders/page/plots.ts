import uPlot from "uplot";
import type { LiveFigures, LiveHistory } from "../live/live-figures.ts";
import { h, setText } from "./elements.ts";
import { count, milliseconds, roughly, timeOfDay } from "./format.ts";

const SPAN_S = 900;
/** The span shown for a service that has just begun. */
const SPAN_S_MIN = 120;
const HEIGHT_PX = 150;
/** A gap in time that is longer than this is left open in the lines. */
const GAP_S = 5;

interface Line {
  readonly name: string;
  /** The name of a custom property of page.css. */
  readonly colour: string;
  readonly values: (number | null)[];
}

interface Plot {
  readonly title: string;
  readonly lines: readonly Line[];
  readonly format: (value: number) => string;
  readonly onAxis: (value: number) => string;
  readonly now: HTMLElement;
  readonly host: HTMLElement;
  chart?: uPlot;
}

const line = (name: string, colour: string): Line => ({ name, colour, values: [] });

/** Three plots that share one time axis. */
export class Plots {
  readonly #at_s: number[] = [];
  readonly #plots: readonly Plot[];

  constructor(host: HTMLElement) {
    const perSecond = (value: number) => `${count(Math.round(value))}/s`;
    this.#plots = [
      this.#plot("Events applied", perSecond, roughly, line("applied", "--plot-a")),
      this.#plot("Lag", (value) => count(Math.round(value)), roughly, line("lag", "--plot-b")),
      this.#plot("Written → readable", milliseconds, milliseconds, line("p50", "--plot-a"), line("p99", "--plot-c")),
    ];
    for (const { title, now, host: chart } of this.#plots) {
      host.append(h("figure", {}, h("figcaption", {}, h("span", {}, title), now), chart));
    }
    new ResizeObserver(() => this.#resize()).observe(host);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#make());
  }

  showHistory({ at_ms, applied_per_s, lag, p50_ms, p99_ms }: LiveHistory): void {
    this.#at_s.length = 0;
    for (const { lines } of this.#plots) for (const { values } of lines) values.length = 0;
    for (const [row, ms] of at_ms.entries()) this.#add(ms, [applied_per_s[row], lag[row], p50_ms[row], p99_ms[row]]);
    this.#make();
  }

  /** A second of which a part of the fleet has not told its figures is left open. */
  add({ at_ms, isWhole, applied_per_s, lag, readable }: LiveFigures): void {
    this.#add(at_ms, isWhole ? [applied_per_s, lag, readable?.p50_ms, readable?.p99_ms] : []);
    for (const plot of this.#plots) {
      plot.chart?.setData(this.#data(plot), false);
      plot.chart?.setScale("x", this.#range());
      this.#showNow(plot);
    }
  }

  #plot(title: string, format: Plot["format"], onAxis: Plot["onAxis"], ...lines: readonly Line[]): Plot {
    return { title, lines, format, onAxis, now: h("span", { class: "now" }), host: h("div", { class: "chart", role: "img" }) };
  }

  #add(at_ms: number, values: readonly (number | null | undefined)[]): void {
    const at_s = at_ms / 1_000;
    const last_s = this.#at_s.at(-1);
    if (last_s !== undefined && at_s <= last_s) return;
    const lines = this.#plots.flatMap(({ lines: all }) => all);
    if (last_s !== undefined && at_s - last_s > GAP_S) {
      this.#at_s.push(last_s + 1);
      for (const { values: all } of lines) all.push(null);
    }
    this.#at_s.push(at_s);
    for (const [index, { values: all }] of lines.entries()) all.push(values[index] ?? null);
    while ((this.#at_s[0] ?? at_s) < at_s - SPAN_S) {
      this.#at_s.shift();
      for (const { values: all } of lines) all.shift();
    }
  }

  #range(): { min: number; max: number } {
    const max = this.#at_s.at(-1) ?? 0;
    const span_s = Math.min(SPAN_S, Math.max(SPAN_S_MIN, max - (this.#at_s[0] ?? max)));
    return { min: max - span_s, max };
  }

  #data({ lines }: Plot): uPlot.AlignedData {
    return [this.#at_s, ...lines.map(({ values }) => values)];
  }

  #showNow(plot: Plot): void {
    const { chart, lines, format, now, host, title } = plot;
    const index = chart?.cursor.idx ?? this.#at_s.length - 1;
    const isNow = typeof chart?.cursor.idx !== "number";
    // Latency has a value only for seconds in which something was applied.
    const rows_max = lines.length > 1 ? 60 : 1;
    const valueOf = ({ values }: Line) => {
      for (let at = index; at >= 0 && at > index - rows_max; at--)
        if (typeof values[at] === "number") return values[at] as number;
      return undefined;
    };
    const texts = lines.map((each) => {
      const value = valueOf(each);
      const label = lines.length > 1 ? `${each.name} ` : "";
      return value === undefined ? `${label}–` : `${label}${format(value)}`;
    });
    const when = isNow ? "" : `${timeOfDay((this.#at_s[index] ?? 0) * 1_000)}  `;
    setText(now, `${when}${texts.join(" · ")}`);
    host.setAttribute("aria-label", `${title}, the last 15 minutes; now ${texts.join(", ")}`);
  }

  #make(): void {
    const style = getComputedStyle(document.documentElement);
    const colour = (name: string) => style.getPropertyValue(name).trim();
    const font = `11px ${colour("--font")}`;
    const axis = { stroke: colour("--quiet"), font, grid: { stroke: colour("--grid"), width: 1 }, ticks: { show: false } };
    for (const plot of this.#plots) {
      plot.chart?.destroy();
      plot.chart = new uPlot(
        {
          width: Math.max(240, plot.host.clientWidth),
          height: HEIGHT_PX,
          legend: { show: false },
          cursor: { y: false, sync: { key: "time" }, points: { size: 6 }, drag: { x: false, y: false } },
          scales: { y: { range: (_, __, max) => [0, Math.max(4, (max ?? 0) * 1.15)] } },
          axes: [
            { ...axis, space: 80, values: "{HH}:{mm}", size: 26 },
            {
              ...axis,
              size: 52,
              space: 32,
              values: (_, splits) => splits.map((value) => (Number.isInteger(value) ? plot.onAxis(value) : "")),
            },
          ],
          series: [
            {},
            ...plot.lines.map(({ name, colour: of }) => ({
              label: name,
              stroke: colour(of),
              width: 1.5,
              spanGaps: plot.lines.length > 1,
            })),
          ],
          hooks: { setCursor: [() => this.#showNow(plot)] },
        },
        this.#data(plot),
        plot.host,
      );
      plot.chart.setScale("x", this.#range());
      this.#showNow(plot);
    }
  }

  #resize(): void {
    for (const { chart, host } of this.#plots) {
      const width = Math.max(240, host.clientWidth);
      if (chart && chart.width !== width) chart.setSize({ width, height: HEIGHT_PX });
    }
  }
}
