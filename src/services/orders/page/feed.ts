import type { LiveAbout, LiveFigures, LiveHistory } from "../live/live-figures.ts";

export interface FeedListener {
  onAbout(about: LiveAbout): void;
  onHistory(history: LiveHistory): void;
  onFigures(figures: LiveFigures): void;
  /** Called when no figures came for STALE_MS. They may come again at any time. */
  onStale(): void;
}

const STALE_MS = 3_000;
/** How long to wait before reconnecting after the browser gave up, which it does when the answer is an error. */
const RECONNECT_MS = 2_000;

/**
 * Listens to the live figures, and reconnects for as long as the page is open.
 *
 * ```
 *  connecting ──figures──▶ live ──nothing for STALE_MS──▶ stale ──figures──▶ live
 *      ▲  the browser reconnects by itself; if it gives up, a new EventSource is made
 * ```
 */
export function listen(listener: FeedListener): void {
  let staleTimer = setTimeout(() => listener.onStale(), STALE_MS);
  const source = new EventSource("live");
  const parsed =
    <Data>(take: (data: Data) => void) =>
    (event: MessageEvent<string>) =>
      take(JSON.parse(event.data) as Data);
  source.addEventListener(
    "about",
    parsed<LiveAbout>((about) => listener.onAbout(about)),
  );
  source.addEventListener(
    "history",
    parsed<LiveHistory>((history) => listener.onHistory(history)),
  );
  source.addEventListener(
    "figures",
    parsed<LiveFigures>((figures) => {
      clearTimeout(staleTimer);
      staleTimer = setTimeout(() => listener.onStale(), STALE_MS);
      listener.onFigures(figures);
    }),
  );
  source.addEventListener("error", () => {
    if (source.readyState !== EventSource.CLOSED) return;
    clearTimeout(staleTimer);
    listener.onStale();
    setTimeout(() => listen(listener), RECONNECT_MS);
  });
}
