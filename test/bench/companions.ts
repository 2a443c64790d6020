import { fileURLToPath } from "node:url";
import { runBounded, spawnTied } from "../support/programs/tied-process.ts";
import type { Paced, PacedEvents } from "./children/paced-events.ts";

// These are processes of the bench's own: what they do must not wait for the bench, nor the bench for them.

/** How long /health/live let a prober wait. */
export interface LiveWaits {
  readonly probes: number;
  readonly longest_ms: number;
  /** How late the prober's own timer was at worst. */
  readonly late_ms: number;
  readonly broken: number;
}

/** How much longer than its set time a process may take. */
const grace_ms = 15_000;

const liveProbe = fileURLToPath(new URL("./children/live-probe.ts", import.meta.url));
const pacedEvents = fileURLToPath(new URL("./children/paced-events.ts", import.meta.url));
const pacedCreates = fileURLToPath(new URL("./children/paced-creates.ts", import.meta.url));

/** Asks for /health/live every 10 ms until `end()`. */
export function probeLive(url: string): { end(): Promise<LiveWaits> } {
  const probe = spawnTied([process.execPath, liveProbe, url]);
  return {
    end: async () => {
      probe.kill("SIGTERM");
      await probe.exited;
      return lastLine(probe.output()) as LiveWaits;
    },
  };
}

export const appendPaced = (events: PacedEvents): Promise<Paced> => paced([pacedEvents, JSON.stringify(events)], events.seconds);

export const createPaced = (cartUrl: string, creates_per_s: number, seconds: number, prefix: string): Promise<Paced> =>
  paced([pacedCreates, cartUrl, String(creates_per_s), String(seconds), prefix], seconds);

/** A process may take twice its time and a little more, before it is ended. */
async function paced(command: readonly string[], seconds: number): Promise<Paced> {
  const { ok, output } = await runBounded([process.execPath, ...command], seconds * 2_000 + grace_ms);
  if (!ok) throw new Error(`A process of the bench failed:\n${output}`);
  return lastLine(output) as Paced;
}

function lastLine(output: string): unknown {
  const line = output.split("\n").findLast((text) => text.startsWith("{"));
  if (line === undefined) throw new Error(`A process of the bench printed no JSON line:\n${output}`);
  return JSON.parse(line);
}
