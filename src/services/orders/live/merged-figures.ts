import type { RestoreProgress, TopicWarning } from "../../../runtime/held-partitions.ts";
import type { OtherFigures } from "./fleet-figures.ts";
import type {
  DeadLetterCounts,
  HeldFigures,
  LiveFigures,
  MemberFigures,
  PartitionFigures,
  ReadableLatency,
  ShownMember,
} from "./live-figures.ts";

interface Parts extends OtherFigures {
  readonly at_ms: number;
  readonly topicName: string;
  readonly own: MemberFigures;
  /** Where others reach this member, if it can be asked. */
  readonly ownUrl: string | undefined;
  /** Where the member is reached that owns the partition as of the last assignment. */
  readonly ownerUrl: (partition: number) => string | undefined;
  readonly deadLetters: DeadLetterCounts;
  readonly deadLettersOf: (partition: number) => number;
}

interface Telling {
  readonly url: string | undefined;
  readonly figures: MemberFigures;
}

/** The figures of all members as those of one service. */
export function mergedFigures(parts: Parts): LiveFigures {
  const { at_ms, topicName, own, ownUrl, telling: others, silent, deadLetters } = parts;
  const telling: readonly Telling[] = [{ url: ownUrl, figures: own }, ...others];
  const all = telling.map(({ figures }) => figures);
  const partitions = partitionsOf(telling, parts);
  const partitionCount = Math.max(...all.map((one) => one.partitionCount));
  const warnings = distinct(all.flatMap((one) => one.warnings ?? []));
  const restore = restoreOf(all.flatMap((one) => one.restore ?? []));
  const readable = slowest(all.flatMap((one) => one.readable ?? []));
  return {
    at_ms,
    isWhole: silent.length === 0 && partitions.length >= partitionCount,
    ...worst(telling, silent),
    ...(warnings.length === 0 ? {} : { warnings }),
    members: [...telling.map(shown), ...silent],
    topicName,
    partitionCount,
    partitions,
    ...(restore === undefined ? {} : { restore }),
    appended_per_s: sum(all.map((one) => one.appended_per_s)),
    applied_per_s: sum(all.map((one) => one.applied_per_s)),
    lag: sum(partitions.map(({ lag }) => lag)),
    ...sumOrNone("orders", partitions),
    ...sumOrNone("held", partitions),
    ...(readable === undefined ? {} : { readable }),
    deadLetters,
  };
}

const shown = ({ url, figures }: Telling): ShownMember => ({
  ...(url === undefined ? {} : { url }),
  status: figures.status,
  ...(figures.reason === undefined ? {} : { reason: figures.reason }),
  partitions: figures.partitions.map(({ partition }) => partition),
  standbys: figures.standbys.map(({ partition }) => partition),
});

/** Of a partition that is moving two members may tell; that one counts which the group gave it to. */
function partitionsOf(telling: readonly Telling[], { ownerUrl, deadLettersOf }: Parts): PartitionFigures[] {
  const told = new Map<number, { readonly url: string | undefined; readonly one: HeldFigures }>();
  for (const { url, figures } of telling)
    for (const one of figures.partitions)
      if (!told.has(one.partition) || (url !== undefined && url === ownerUrl(one.partition)))
        told.set(one.partition, { url, one });
  const standbysOf = Map.groupBy(
    telling.flatMap(({ url, figures }) => figures.standbys.map((standby) => ({ url, ...standby }))),
    ({ partition }) => partition,
  );
  return [...told.values()]
    .toSorted((a, b) => a.one.partition - b.one.partition)
    .map(({ url, one }) => {
      const standbys = standbysOf.get(one.partition);
      return {
        ...one,
        ...(url === undefined ? {} : { owner: url }),
        ...(standbys === undefined
          ? {}
          : {
              standbys: standbys.map(({ url: at, lag, isReady }) => ({ ...(at === undefined ? {} : { url: at }), lag, isReady })),
            }),
        deadLetters: deadLettersOf(one.partition),
      };
    });
}

/** What a person must mend comes first, then what goes on by itself; any status that is not named comes before ready. */
const WORST_FIRST = ["halted", "blocked", "suspended", "unreadable", "standing-still", "unreachable"];

const rank = (status: string): number => {
  if (status === "ready") return WORST_FIRST.length + 1;
  const index = WORST_FIRST.indexOf(status);
  return index < 0 ? WORST_FIRST.length : index;
};

/** The status of the member that is furthest from ready, and why. Of another one than this it is said which. */
function worst(
  [own, ...others]: readonly Telling[],
  silent: readonly ShownMember[],
): Pick<LiveFigures, "status" | "reason" | "since_ms"> {
  const candidates = [
    ...(own === undefined ? [] : [own.figures]),
    ...others.map(({ url, figures: { status, reason, since_ms } }) => ({
      status,
      reason:
        status === "ready"
          ? reason && `At ${url}: ${reason}`
          : `${url} is ${status}${reason === undefined ? "." : `: ${reason}`}`,
      since_ms,
    })),
    ...silent.map(({ status }) => ({ status, reason: undefined, since_ms: undefined })),
  ];
  // One that is ready may still have a partition that does not go on.
  const hinderedFirst = ({ reason }: { readonly reason?: string | undefined }): number => (reason === undefined ? 1 : 0);
  const [first] = candidates.toSorted((a, b) => rank(a.status) - rank(b.status) || hinderedFirst(a) - hinderedFirst(b));
  if (first === undefined) throw new Error("a fleet has a member");
  const { status, reason, since_ms } = first;
  return { status, ...(reason === undefined ? {} : { reason }), ...(since_ms === undefined ? {} : { since_ms }) };
}

/** Members that watch the same topic find the same. */
const distinct = (warnings: readonly TopicWarning[]): TopicWarning[] => [
  ...new Map(warnings.map((warning) => [JSON.stringify([warning.topic, warning.code, warning.detail]), warning])).values(),
];

function restoreOf(all: readonly RestoreProgress[]): RestoreProgress | undefined {
  if (all.length === 0) return undefined;
  return {
    partitions: sum(all.map((one) => one.partitions)),
    records: sum(all.map((one) => one.records)),
    records_total: sum(all.map((one) => one.records_total)),
    records_per_s: sum(all.map((one) => one.records_per_s)),
    left_s: Math.max(...all.map((one) => one.left_s)),
  };
}

const slowest = (all: readonly ReadableLatency[]): ReadableLatency | undefined =>
  all.length === 0
    ? undefined
    : { p50_ms: Math.max(...all.map(({ p50_ms }) => p50_ms)), p99_ms: Math.max(...all.map(({ p99_ms }) => p99_ms)) };

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** The sum over the partitions; none if one of them cannot tell. */
function sumOrNone<Name extends "orders" | "held">(
  name: Name,
  partitions: readonly PartitionFigures[],
): { [name in Name]?: number } {
  const values = partitions.map((one) => one[name]);
  const known = values.filter((value) => value !== undefined);
  return known.length < values.length ? {} : ({ [name]: sum(known) } as { [name in Name]?: number });
}
