import type { DeadLetterShown, ShownBytes } from "../dead-letters/dead-letter-listing.ts";
import type { LiveFigures } from "../live/live-figures.ts";
import { byId, h, setText } from "./elements.ts";
import { count, dateAndTime, hexDump, plural, visible } from "./format.ts";
import { ask, problem } from "./problem.ts";

const LETTERS_AT_ONCE = 20;
/** How many requests in a row to send while a filter finds nothing, before asking the reader whether to go on. */
const PAGES_MAX = 10;

interface Answer {
  readonly letters: readonly DeadLetterShown[];
  readonly unavailable: readonly { readonly partition: number; readonly reason: string }[];
  readonly next: string | null;
}

function ending(letters: number, { unavailable: [first] }: Answer): string {
  if (first) return `These are those that can be read now. Partition ${first.partition} of the dead letters: ${first.reason}`;
  return letters === 0 ? "There are none." : "These are all.";
}

/**
 * The list of dead letters, the newest first. It is loaded at the start, by the button, and when the first letter
 * appears.
 *
 * ```
 *  made ──start()──▶ loading ──a page──▶ shown ──“Older letters”──▶ loading the next page
 *                       ▲                  └── load(): the button, another reason, the first letter ──▶ loading anew
 * ```
 */
export class DeadLetterList {
  readonly #list = byId("letters-list");
  readonly #reason = byId("letters-reason") as HTMLSelectElement;
  readonly #text = byId("letters-text") as HTMLInputElement;
  readonly #news = h("p", { class: "quiet", role: "status" });
  #loadedWith = 0;
  #letters = 0;
  #loading = new AbortController();

  constructor() {
    byId("letters-form").addEventListener("submit", (event) => {
      event.preventDefault();
      void this.load();
    });
    this.#reason.addEventListener("change", () => void this.load());
    this.#text.addEventListener("input", () => this.#filter());
    byId("letters-form").after(this.#news);
  }

  start(): void {
    void this.load();
  }

  show({ deadLetters: { letters, byReason, isComplete } }: LiveFigures): void {
    this.#letters = letters;
    const reasons = Object.keys(byReason).toSorted();
    const options = reasons.map((reason) => `${reason} (${count(byReason[reason] ?? 0)})`);
    const known = [...this.#reason.options].slice(1).map(({ text }) => text);
    if (options.join() !== known.join()) {
      const chosen = this.#reason.value;
      const elements = reasons.map((reason, index) => h("option", { value: reason }, options[index] ?? reason));
      this.#reason.replaceChildren(h("option", { value: "" }, "all"), ...elements);
      this.#reason.value = reasons.includes(chosen) ? chosen : "";
    }
    if (!isComplete) return;
    if (this.#loadedWith === 0 && letters > 0) void this.load();
    const fresh = letters - this.#loadedWith;
    setText(this.#news, fresh > 0 ? `${plural(fresh, "letter", "letters")} came since; load again to see them.` : "");
  }

  async load(): Promise<void> {
    this.#loading.abort();
    const loading = (this.#loading = new AbortController());
    this.#loadedWith = this.#letters;
    setText(this.#news, "");
    const list = h("ul", { class: "letters", "aria-label": "Dead letters, the newest first" });
    const foot = h("p", { class: "quiet" }, "Loading…");
    this.#list.replaceChildren(list, foot);
    await this.#loadMore(list, foot, "", loading.signal);
  }

  async #loadMore(list: HTMLElement, foot: HTMLElement, after: string, signal: AbortSignal): Promise<void> {
    const reason = this.#reason.value === "" ? "" : `&reason=${encodeURIComponent(this.#reason.value)}`;
    const until = list.children.length + LETTERS_AT_ONCE;
    try {
      let next = after;
      for (let pages = 0; pages < PAGES_MAX && list.children.length < until; pages++) {
        const { body } = await ask(`dead-letters?limit=${LETTERS_AT_ONCE}${reason}${next}`, { signal });
        const answer = body as Answer;
        list.append(...answer.letters.map(shownLetter));
        this.#filter();
        if (answer.next === null) return foot.replaceChildren(ending(list.children.length, answer));
        next = `&after=${encodeURIComponent(answer.next)}`;
      }
      const goOn = () => void this.#loadMore(list, foot, next, signal);
      foot.replaceChildren(h("button", { type: "button", onclick: goOn }, "Older letters"));
    } catch (e) {
      if (!signal.aborted) foot.replaceChildren(problem(e));
    }
  }

  /** Hides the loaded letters that do not contain the wanted text. */
  #filter(): void {
    const wanted = this.#text.value.trim().toLowerCase();
    for (const letter of this.#list.querySelectorAll<HTMLElement>(".letters > li")) {
      letter.hidden = wanted !== "" && !(letter.textContent ?? "").toLowerCase().includes(wanted);
    }
  }
}

function shownLetter(letter: DeadLetterShown): HTMLElement {
  const { origin, redrive, noRedrive } = letter;
  const place = origin.partition === null ? "unknown" : `${origin.partition}:${count(origin.offset ?? 0)}`;
  return h(
    "li",
    {},
    h(
      "details",
      {},
      h(
        "summary",
        {},
        h("time", { datetime: letter.time }, dateAndTime(letter.time)),
        h("span", { class: "place" }, place),
        h("span", { class: "reason" }, letter.reason),
        h("span", { class: "key" }, letter.key === null ? "no key" : oneLine(letter.key)),
      ),
      h(
        "p",
        {},
        letter.detail,
        letter.redrives > 0 ? ` It was redriven ${plural(letter.redrives, "time", "times")} before.` : "",
      ),
      h(
        "p",
        { class: "quiet" },
        `From ${origin.topic || "an unknown topic"}, partition and offset ${place}; here ${letter.partition}:${count(letter.offset)}.`,
      ),
      shownValue(letter.value),
      redrive === null ? h("p", {}, noRedrive ?? "") : command(redrive),
    ),
  );
}

const oneLine = (bytes: ShownBytes): string =>
  `${("text" in bytes ? visible(bytes.text).replaceAll(/\s/g, " ") : `base64 ${bytes.base64}`).slice(0, 80)}${bytes.isCut ? "…" : ""}`;

function shownValue(value: ShownBytes | null): HTMLElement {
  if (value === null) return h("p", {}, "It has no value.");
  const text = "text" in value ? visible(value.text) : hexDump(Uint8Array.from(atob(value.base64), (c) => c.charCodeAt(0)));
  const shown = text === "" ? ", of which the letter has none" : ", of which the first are shown";
  const size = `${plural(value.bytes, "byte", "bytes")}${value.isCut ? shown : ""}${"text" in value ? "" : ", not UTF-8"}`;
  return h("figure", {}, h("figcaption", { class: "quiet" }, size), h("pre", { tabindex: 0 }, text));
}

/** A command with a button that copies it. */
export function command(text: string): HTMLElement {
  const button = h("button", { type: "button", class: "copy" }, "Copy");
  button.addEventListener("click", () => {
    navigator.clipboard.writeText(text).then(
      () => setText(button, "Copied"),
      () => setText(button, "Select it"),
    );
  });
  return h("div", { class: "command" }, h("code", {}, text), button);
}
