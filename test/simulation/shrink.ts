import type { Plan } from "./plan.ts";

/** How many runs of the plan shrinking may take. */
const RUNS_MAX = 600;

/**
 * Leaves out parts of the plan for as long as it still fails. First it leaves out steps: halves, then smaller pieces,
 * then single steps (the idea of delta debugging, Zeller and Hildebrandt 2002). Then it leaves out processes and
 * partitions, and steps once more. At last it shortens what takes time.
 */
export function shrink(plan: Plan, fails: (plan: Plan) => boolean): Plan {
  let shortest = plan;
  let runs = 0;
  const take = (candidate: Plan): boolean => {
    if (runs++ >= RUNS_MAX || !fails(candidate)) return false;
    shortest = candidate;
    return true;
  };

  const leaveOutSteps = () => {
    for (let size = Math.ceil(shortest.steps.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2))
      for (let from = 0; from < shortest.steps.length;) {
        const steps = [...shortest.steps.slice(0, from), ...shortest.steps.slice(from + size)];
        if (!take({ ...shortest, steps })) from += size;
      }
  };
  const shortenStep = (at: number): boolean => {
    const step = shortest.steps[at];
    if (!step || !("for_ms" in step) || step.for_ms <= 1) return false;
    return take({ ...shortest, steps: shortest.steps.with(at, { ...step, for_ms: Math.floor(step.for_ms / 2) }) });
  };

  leaveOutSteps();
  for (const size of ["carts", "orderServices", "partitions"] as const)
    for (let n = 1; n < shortest[size]; n++) if (take({ ...shortest, [size]: n })) break;
  leaveOutSteps();
  for (let at = 0; at < shortest.steps.length; at++) while (shortenStep(at)) continue;
  return shortest;
}
