import { obstacle, readiness } from "../../../http/health.ts";
import type { HeldPartitions, PartitionView } from "../../../runtime/held-partitions.ts";
import { countsOf } from "../query/queries.ts";
import type { HeldFigures, MemberFigures, StandbyFigures } from "./live-figures.ts";
import type { LiveSampler } from "./live-sampler.ts";

export interface OwnFiguresOptions {
  readonly partitions: HeldPartitions;
  readonly sampler: LiveSampler;
}

/** What this order service tells of itself. */
export function ownFigures({ partitions, sampler }: OwnFiguresOptions): MemberFigures {
  const { status, standstill, restore, warnings } = readiness(partitions);
  const { reason, since_ms } = obstacle(partitions);
  const { applied, appended_per_s, applied_per_s, readable } = sampler.rates;
  const why = reason ?? standstill;
  return {
    status,
    ...(why === undefined ? {} : { reason: why }),
    ...(since_ms === undefined ? {} : { since_ms }),
    ...(warnings === undefined ? {} : { warnings }),
    partitionCount: partitions.partitionCount,
    partitions: Array.from(partitions.held(), (held) => heldFigures(held, applied.get(held.partition) ?? 0)),
    standbys: Array.from(partitions.standbys?.() ?? [], standbyFigures),
    ...(restore === undefined ? {} : { restore }),
    appended_per_s: Math.round(appended_per_s),
    applied_per_s: Math.round(applied_per_s),
    ...(readable === undefined ? {} : { readable }),
  };
}

const lagOf = ({ nextOffset, endOffset }: PartitionView): number => Math.max(0, endOffset - nextOffset);

function heldFigures(held: PartitionView, applied_per_s: number): HeldFigures {
  const { partition, state, nextOffset, endOffset, halted, hindered, snapshot } = held;
  const stays = halted ?? hindered;
  return {
    partition,
    state,
    offset: nextOffset,
    end: endOffset,
    lag: lagOf(held),
    applied_per_s: Math.round(applied_per_s),
    ...countsOf(held),
    ...(stays === undefined ? {} : { reason: stays }),
    ...(snapshot?.taken_ms === undefined
      ? {}
      : { snapshot: { offset: snapshot.offset, age_s: Math.floor(snapshot.age_ms / 1_000) } }),
  };
}

const standbyFigures = (held: PartitionView): StandbyFigures => ({
  partition: held.partition,
  lag: lagOf(held),
  isReady: held.hasBeenComplete && !held.isLagging,
});
