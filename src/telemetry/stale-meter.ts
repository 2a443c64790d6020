import type { StaleMeter } from "./meters.ts";
import type { ScrapedRegistry } from "./scraped-registry.ts";

/** Counts the orders that clients are told as stale. */
export function staleMeter(registry: ScrapedRegistry): StaleMeter {
  let answers = 0;
  registry.counter(
    "orders_stale_answers_total",
    "Orders that clients were told with an Age, as whoever owns their partition could not be asked, or is behind the log.",
    [],
    (counter) => counter.inc(answers),
  );
  return { toldStale: () => void answers++ };
}
