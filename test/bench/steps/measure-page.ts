import { startProgram } from "../../support/programs/processes.ts";
import { keepBusy, logIn } from "../../browser/story.ts";
import { costOf } from "../process-cost.ts";

/**
 * What open pages cost the service: its CPU time with and without 20 listeners to /live, in turns, idle and under a
 * steady load of foreign events. Run it with `bun test/bench/steps/measure-page.ts`; it exits with 1 where they cost more
 * than 1 % of a core. Linux only (/proc).
 */
const PAGES = 20;
const TURNS = 4;
const TURN_MS = 10_000;
const SETTLE_MS = 1_500;
const COST_PERCENT_MAX = 1;

const cpu_ms = (pid: number): number => costOf(pid).cpu_s * 1_000;

async function openPages(url: string, pages: number): Promise<AsyncDisposable & { messages: () => number }> {
  const closing = new AbortController();
  let messages = 0;
  const open = async () => {
    const response = await fetch(`${url}/live`, { signal: closing.signal });
    for await (const _ of response.body!) messages++;
  };
  const all = Array.from({ length: pages }, () => open().catch(() => undefined));
  return {
    messages: () => messages,
    [Symbol.asyncDispose]: async () => {
      closing.abort();
      await Promise.all(all);
    },
  };
}

/** The CPU time of the service with `pages` open pages, in percent of a core. */
async function measure(pid: number, url: string, pages: number): Promise<number> {
  await using open = await openPages(url, pages);
  await Bun.sleep(SETTLE_MS);
  const before_ms = cpu_ms(pid);
  const began_ms = performance.now();
  await Bun.sleep(TURN_MS);
  const percent = ((cpu_ms(pid) - before_ms) / (performance.now() - began_ms)) * 100;
  if (pages > 0 && open.messages() < pages * (TURN_MS / 1_000)) throw new Error(`only ${open.messages()} messages came`);
  return percent;
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

let isDear = false;
for (const events_per_s of [0, 2_000]) {
  await using program = await startProgram({ env: { TOPIC_PARTITIONS: "4", LOG_LEVEL: "warn" } });
  await program.ready();
  const ending = new AbortController();
  const log = logIn(program.dataDir);
  const load = events_per_s > 0 ? keepBusy(log, events_per_s, ending.signal) : Promise.resolve();
  const without: number[] = [];
  const withPages: number[] = [];
  await measure(program.pid, program.orderUrl, PAGES);
  for (let turn = 0; turn < TURNS; turn++) {
    without.push(await measure(program.pid, program.orderUrl, 0));
    withPages.push(await measure(program.pid, program.orderUrl, PAGES));
  }
  ending.abort();
  await load;
  await log.close();
  const cost = mean(withPages) - mean(without);
  isDear ||= cost > COST_PERCENT_MAX;
  const listed = (values: readonly number[]) => values.map((value) => value.toFixed(1)).join(" ");
  console.log(
    `${events_per_s} events/s: ${mean(without).toFixed(2)} % of a core without pages (${listed(without)}), ` +
      `${mean(withPages).toFixed(2)} % with ${PAGES} (${listed(withPages)}): they cost ${cost.toFixed(2)} %`,
  );
}
process.exit(isDear ? 1 : 0);
