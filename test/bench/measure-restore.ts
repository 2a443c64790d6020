import { readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { type Program, startProgram } from "../support/programs/processes.ts";
import { waitUntil } from "../support/wait-until.ts";
import { type Figure, median } from "./figures.ts";
import { eventCount, fillTopic, type Load } from "./load.ts";
import type { Target } from "./target.ts";

const runs = 3;
const load: Load = { orders: 50_000, updatesPerOrder: 3 };
/** About 20,000 events a second, as carts under load send them: far below what a consumer can apply. */
const live_pace = { batch_records: 200, wait_ms: 8 };
const applied_ms_max = 120_000;
/** Linux counts a process's time in these ticks (sysconf(_SC_CLK_TCK)). */
const TICKS_PER_S = 100;

/**
 * The processor time an event costs a consumer when it is applied as it comes, and when the same topic is read from
 * its start into an empty store. The cost of starting the process is subtracted.
 */
export async function measureRestore(target: Target): Promise<Figure[]> {
  const events = eventCount(load);
  const live: number[] = [];
  const restore: number[] = [];
  const rates: number[] = [];
  for (let run = 0; run < runs; run++) {
    await using topic = await target.emptyTopic(`restore${run}`);
    const settings = topic.settings();
    let start_us: number;
    {
      await using consumer = await startProgram({ role: "consumer", dataDir: topic.dataDir, env: settings });
      await consumer.ready();
      start_us = processorTime_us(consumer);
      await fillTopic(topic.log, topic.topic, load, live_pace);
      await applied(consumer, events);
      live.push((processorTime_us(consumer) - start_us) / events);
    }
    await rm(join(topic.dataDir, "state"), { recursive: true, force: true });
    await using consumer = await startProgram({ role: "consumer", dataDir: topic.dataDir, env: topic.settings() });
    await consumer.live();
    const started_ms = performance.now();
    await applied(consumer, events);
    rates.push(events / ((performance.now() - started_ms) / 1_000));
    restore.push((processorTime_us(consumer) - start_us) / events);
  }
  const figure = { log: target.name, unit: "µs" };
  const note = (values: readonly number[]) => `runs: ${values.map((value) => value.toFixed(1)).join(", ")}`;
  return [
    { ...figure, what: "processor time per event, live at about 20,000/s", figure: median(live), note: note(live) },
    {
      ...figure,
      what: "processor time per event, restored",
      figure: median(restore),
      ratio: median(restore) / median(live),
      ratioTo: "live",
      note: `${note(restore)}; ${Math.round(median(rates)).toLocaleString("en-US")} events/s`,
    },
  ];
}

/** The user and system time so far: fields 14 and 15 of proc_pid_stat(5). */
function processorTime_us({ pid }: Program): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/^.*\) /, "")
    .split(" ");
  return ((Number(fields[11]) + Number(fields[12])) / TICKS_PER_S) * 1_000_000;
}

async function applied({ orderUrl }: Program, events: number): Promise<void> {
  const isApplied = async () => {
    const response = await fetch(`${orderUrl}/health/ready`);
    const { partitions } = (await response.json()) as { partitions: { offset: number }[] };
    return partitions.reduce((sum, { offset }) => sum + offset, 0) >= events;
  };
  await waitUntil(`${events} events to be applied`, isApplied, { wait_ms_max: applied_ms_max, interval_ms: 50 });
}
