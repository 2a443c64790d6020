import type { LiveAbout, LiveFigures, LiveHistory } from "../live/live-figures.ts";

export interface FeedListener {
  about(about: LiveAbout): void;
  history(history: LiveHistory): void;
  figures(figures: LiveFigures): void;
  /** No figures came for STALE_MS. They may come again at any time. */
  stale(): void;
}

const STALE_MS = 3_000;
/** After the browser gave up, which it does when it gets an error for an answer. */
const RECONNECT_MS = 2_000;

/**
 * ```
 *  connecting ──figures──▶ live ──nothing for STALE_MS──▶ stale ──figures──▶ live
 *      ▲  the browser tries again by itself; where it gives up, a new EventSource is made
 * ```
 */
export function listen(listener: FeedListener): void {
  let staleTimer = setTimeout(() => listener.stale(), STALE_MS);
  const source = new EventSource("live");
  const parsed =
    <Data>(take: (data: Data) => void) =>
    (event: MessageEvent<string>) =>
      take(JSON.parse(event.data) as Data);
  source.addEventListener(
    "about",
    parsed<LiveAbout>((about) => listener.about(about)),
  );
  source.addEventListener(
    "history",
    parsed<LiveHistory>((history) => listener.history(history)),
  );
  source.addEventListener(
    "figures",
    parsed<LiveFigures>((figures) => {
      clearTimeout(staleTimer);
      staleTimer = setTimeout(() => listener.stale(), STALE_MS);
      listener.figures(figures);
    }),
  );
  source.addEventListener("error", () => {
    if (source.readyState !== EventSource.CLOSED) return;
    clearTimeout(staleTimer);
    listener.stale();
    setTimeout(() => listen(listener), RECONNECT_MS);
  });
}
