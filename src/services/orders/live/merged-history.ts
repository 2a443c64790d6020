import type { LiveHistory, MemberHistory } from "./live-figures.ts";

/** A member's history as it was heard here. */
export interface ToldHistory {
  readonly history: MemberHistory;
  /** When it was heard, on this process's clock. */
  readonly at_ms: number;
  /** How far its wall clock is ahead of this process's. */
  readonly ahead_ms: number;
}

/** Members sample once a second, each at its own moment; rows that are no further apart are of the same second. */
const ROW_MS_MAX = 1_500;

/** All members' rows as those of one service, at the times of who has the most of them. */
export function mergedHistory(own: MemberHistory, others: readonly ToldHistory[]): LiveHistory {
  const all = [{ history: own, ahead_ms: 0 }, ...others];
  const [longest = { history: own, ahead_ms: 0 }] = all.toSorted((a, b) => b.history.at_ms.length - a.history.at_ms.length);
  const times = longest.history.at_ms.map((ms) => ms - longest.ahead_ms);
  const found = all.map(({ history, ahead_ms }) => ({ history, rows: nearestRows(times, history.at_ms, ahead_ms) }));
  const applied_per_s: (number | null)[] = [];
  const lag: (number | null)[] = [];
  const p50_ms: (number | null)[] = [];
  const p99_ms: (number | null)[] = [];
  for (const index of times.keys()) {
    const rows = found.flatMap(({ history, rows: of }) => {
      const row = of[index];
      return row === undefined ? [] : [{ history, row }];
    });
    const column = (values: (history: MemberHistory) => readonly (number | null)[]) =>
      rows.map(({ history, row }) => values(history)[row] ?? null).filter((value) => value !== null);
    const partitionCount = Math.max(...column((history) => history.partitionCount));
    // Who held the others then is not there any more, or does not answer: a part is not told as the whole.
    const isWhole = sum(column((history) => history.partitions)) >= partitionCount;
    applied_per_s.push(isWhole ? sum(column((history) => history.applied_per_s)) : null);
    lag.push(isWhole ? sum(column((history) => history.lag)) : null);
    p50_ms.push(isWhole ? highest(column((history) => history.p50_ms)) : null);
    p99_ms.push(isWhole ? highest(column((history) => history.p99_ms)) : null);
  }
  return { at_ms: times, applied_per_s, lag, p50_ms, p99_ms };
}

/** For each of the times the row that is nearest to it, if one is near. Both are ascending. */
function nearestRows(times: readonly number[], at_ms: readonly number[], ahead_ms: number): (number | undefined)[] {
  let row = 0;
  return times.map((time) => {
    const away = (index: number) => Math.abs((at_ms[index] ?? Number.POSITIVE_INFINITY) - ahead_ms - time);
    while (row + 1 < at_ms.length && away(row + 1) <= away(row)) row++;
    return away(row) <= ROW_MS_MAX ? row : undefined;
  });
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
const highest = (values: readonly number[]): number | null => (values.length === 0 ? null : Math.max(...values));
