import type { Step } from "./plan.ts";
import { pick } from "../support/random.ts";

interface At {
  readonly at_ms: number;
}

/** What happens to snapshots, and to what the log had before them. `share` picks a partition or a snapshot. */
export type SnapshotStep = At &
  (
    | { readonly do: "delete-head"; readonly share: number }
    | { readonly do: "damage-snapshot"; readonly share: number; readonly how: "flip" | "cut" | "remove" }
    | { readonly do: "storage-away"; readonly for_ms: number }
    | { readonly do: "bad-storage"; readonly chance: number; readonly for_ms: number }
  );

/** What happens in a world with snapshots: disks are lost, heads are deleted, and storages fail. */
export function snapshotSteps(random: () => number, length_ms: number): Step[] {
  const at = (): number => Math.floor(random() * length_ms);
  const lost = (at_ms: number): Step => {
    return { at_ms, do: "kill", victim: random(), disk: "lost", for_ms: 50 + Math.floor(random() * 1_500) };
  };
  const steps: Step[] = [];
  for (let n = Math.floor(random() * 3); n > 0; n--) steps.push(lost(at()));
  // Retention passes, and somebody needs what is gone: at once, or while it is fetched.
  for (let n = Math.floor(random() * 5); n > 0; n--) {
    const at_ms = Math.floor(length_ms * (0.3 + 0.7 * random()));
    const head: Step = { at_ms, do: "delete-head", share: random() };
    steps.push(head, lost(at_ms + Math.floor((random() - 0.3) * 400)));
  }
  // The log loses what a snapshot has, and somebody needs the snapshot.
  if (random() < 0.3) {
    const at_ms = Math.floor(length_ms * (0.4 + 0.6 * random()));
    const [lost_records, regrown_records] = [1 + Math.floor(random() * 4), Math.floor(random() * 7)];
    steps.push({ at_ms, do: "lose-records", share: random(), lost_records, regrown_records });
    for (let n = 0; n < 3; n++) steps.push(lost(at_ms + Math.floor((random() - 0.2) * 1_000)));
  }
  // A snapshot is damaged, and soon somebody needs one.
  if (random() < 0.4) {
    const [at_ms, share] = [at(), random()];
    const how = pick(random, ["flip", "cut", "remove"] as const);
    const lostAfter = (ms: number, victim: number): Step => {
      return { at_ms: at_ms + ms, do: "kill", victim: victim % 1, disk: "lost", for_ms: 200 };
    };
    steps.push({ at_ms, do: "damage-snapshot", share, how }, lostAfter(100, share), lostAfter(400, share + 0.5));
  }
  if (random() < 0.3) steps.push({ at_ms: at(), do: "storage-away", for_ms: Math.floor(random() * 3_000) });
  if (random() < 0.3) steps.push({ at_ms: at(), do: "bad-storage", chance: random(), for_ms: Math.floor(random() * 3_000) });
  return steps;
}
