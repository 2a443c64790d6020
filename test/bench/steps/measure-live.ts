import { appendPaced } from "../companions.ts";
import { type Figure, median, runsNote } from "../figures.ts";
import { fillTopic, type Load } from "../load.ts";
import { startMembers, untilApplied } from "../members.ts";
import { type Options, run_ms_max } from "../options.ts";
import { costOf } from "../process-cost.ts";
import type { Target } from "../target.ts";

/** What a consumer has applied before hot rates are measured, so that its code is compiled. */
const warm_up_events = 200_000;
/** The rest after that, in which compilers and the collector finish what the start left them. */
const rest_ms = 3_000;

interface Step {
  readonly offered: number;
  readonly costs_us: number[];
  readonly reached: number[];
}

/**
 * The processor time an event costs a consumer that gets events at a rate, one rate after another in each turn. Hot, it
 * has applied some before; cold, it has all the orders, and the events are updates that stride through them.
 */
export async function measureLive(target: Target, { load, liveRates, step_s, turns }: Options): Promise<Figure[]> {
  const offered = liveRates.reduce((sum, rate) => sum + rate, 0) * step_s * turns;
  const warmUp = load.shape === "hot" ? warm_up_events : load.orders;
  const live = loadFor(load, warmUp + offered);
  await using topic = await target.emptyTopic("live");
  await fillTopic(topic.log, topic.topic, live, { from: 0, to: warmUp });
  await using members = await startMembers(topic, "consumer", 1);
  const { pid } = members.programs[0];
  await untilApplied(members, warmUp, run_ms_max(live));
  await Bun.sleep(rest_ms);

  const steps: readonly Step[] = liveRates.map((rate) => ({ offered: rate, costs_us: [], reached: [] }));
  let appended = warmUp;
  for (let turn = 0; turn < turns; turn++) {
    for (const step of steps) {
      const before_s = costOf(pid).cpu_s;
      const place = { place: topic.place, topic: topic.topic };
      const { done, seconds } = await appendPaced({
        ...place,
        load: live,
        from: appended,
        events_per_s: step.offered,
        seconds: step_s,
      });
      appended += done;
      await untilApplied(members, appended, run_ms_max(live));
      step.costs_us.push(((costOf(pid).cpu_s - before_s) / done) * 1_000_000);
      step.reached.push(done / seconds);
    }
  }
  const kept = live.shape === "hot" ? "hot" : `cold, ${live.orders} orders`;
  return steps.map(({ offered: rate, costs_us, reached }) => ({
    log: target.name,
    what: `CPU time per event, live at ${rate.toLocaleString("en-US")}/s, ${kept}`,
    figure: median(costs_us),
    unit: "µs",
    note: `${runsNote(costs_us)}; ${Math.round(median(reached)).toLocaleString("en-US")}/s came`,
  }));
}

/** The load of the shape that has so many events at least. */
function loadFor({ shape, orders, updatesPerOrder }: Load, events: number): Load {
  if (shape === "hot") return { shape, updatesPerOrder, orders: Math.ceil(events / (1 + updatesPerOrder)) };
  return { shape, orders, updatesPerOrder: Math.ceil(events / orders) - 1 };
}
