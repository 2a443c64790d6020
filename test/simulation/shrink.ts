import type { Plan, Step } from "./plan.ts";

/** Runs of the plan that shrinking may take. */
const RUNS_MAX = 400;

/**
 * Leaves out parts of the plan for as long as it still fails: halves first, then smaller pieces, at last single steps (the idea of
 * delta debugging, Zeller and Hildebrandt 2002).
 */
export async function shrink(plan: Plan, fails: (plan: Plan) => Promise<boolean>): Promise<Plan> {
  let steps: readonly Step[] = plan.steps;
  let runs = 0;
  for (let size = Math.ceil(steps.length / 2); size >= 1 && runs < RUNS_MAX; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let from = 0; from < steps.length && runs < RUNS_MAX;) {
      const shorter = [...steps.slice(0, from), ...steps.slice(from + size)];
      runs++;
      if (await fails({ ...plan, steps: shorter })) steps = shorter;
      else from += size;
    }
  }
  return { ...plan, steps };
}
