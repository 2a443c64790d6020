import { tempDir } from "../support/stores/temp-dir.ts";
import { spawnTied } from "../support/programs/tied-process.ts";
import { meterTree, type ProcessCost } from "./process-cost.ts";

/** Another program that does the same job, by the name under which its figures are told. */
export interface Peer {
  readonly name: string;
  /** For a shell, with what is in braces to be filled in. */
  readonly command: string;
}

/** What a peer is told of the job. */
export interface PeerJob {
  readonly brokers: string;
  readonly topic: string;
  readonly events: string;
  readonly partitions: string;
}

/** What a peer says of its run. */
export interface PeerAnswer {
  readonly events_per_s: number;
  /** The events that it did, if it says so: it may end before all are done. */
  readonly events: number | undefined;
}

export interface PeerRun extends PeerAnswer {
  readonly cost: ProcessCost;
}

/** `name=command`; the name is what lies before the first `=`. */
export function peerOf(text: string): Peer {
  const named = /^\s*([\w .+-]*\w)\s*=\s*(\S.*)$/s.exec(text);
  if (!named) throw new Error(`--peer is ${text}; it must be name=command.`);
  return { name: named[1]!, command: named[2]! };
}

export const filledIn = (command: string, values: Readonly<Record<string, string>>): string =>
  command.replace(/\{(\w+)\}/g, (whole, name: string) => values[name] ?? whole);

/** Runs the peer once, in an empty directory for temporary files that is removed after it. */
export async function runPeer({ name, command }: Peer, job: PeerJob, run_ms_max: number): Promise<PeerRun> {
  await using dir = await tempDir();
  const line = filledIn(command, { ...job, dir: dir.path });
  const run = spawnTied(["sh", "-c", `exec ${line}`], { env: { ...process.env, TMPDIR: dir.path } });
  const meter = meterTree(run.pid);
  const timer = setTimeout(() => run.kill("SIGKILL"), run_ms_max);
  const exit = await run.exited;
  clearTimeout(timer);
  const cost = meter.end();
  if (exit.signal !== null) throw new Error(`${name} was ended by ${exit.signal}, it may run ${run_ms_max} ms: ${line}`);
  const answer = answerIn(run.output());
  if (answer !== undefined) return { ...answer, cost };
  throw new Error(
    `${name} printed no JSON line with events_per_s_processing or events_per_s: ${line}\n${run.output().slice(-2_000)}`,
  );
}

/** The last JSON line that has a rate. */
export function answerIn(output: string): PeerAnswer | undefined {
  for (const line of output.split("\n").toReversed()) {
    if (!line.startsWith("{")) continue;
    try {
      const said = JSON.parse(line) as { events_per_s_processing?: number; events_per_s?: number; events?: number };
      const events_per_s = said.events_per_s_processing ?? said.events_per_s;
      if (events_per_s !== undefined) return { events_per_s, events: said.events };
    } catch {
      // A line that only looks like JSON is the program's talk.
    }
  }
  return undefined;
}
