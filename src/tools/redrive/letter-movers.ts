import { formatLogPosition } from "../../log/log-position.ts";
import { type Connect, setting } from "../move/connect/connect-mover.ts";
import { DirectMover } from "../move/direct-mover.ts";
import type { OperationEnvironment } from "../environment.ts";
import { type Letter, redrivenRecord } from "./letter.ts";
import type { MoveProgress } from "../move/mover.ts";
import type { Rate } from "../terminal/rate.ts";
import type { RedriveOrder, RedrivePlan } from "./redrive.ts";
import type { OffsetRange } from "../scan/scan.ts";

/** A `Mover` for letters, which go to two topics. */
export interface LetterMover {
  settle(): Promise<void>;
  move(letters: readonly Letter[], progress: MoveProgress): Promise<void>;
  close(): Promise<void>;
}

/** The most letters in one variable of Connect's environment (Linux: at most 128 KiB), with room to spare. */
const LETTERS_AT_ONCE_MAX = 4_000;

/** Moves letters by two producers, one for each topic. */
export function directLetterMover(env: OperationEnvironment, plan: RedrivePlan, rate: Rate): LetterMover {
  const { topic, deadLetterTopic, parkingTopic } = plan.order;
  let wanted: ReadonlyMap<string, Letter> = new Map();
  const moverTo = (target: string) =>
    new DirectMover({
      env,
      fencingId: `${target}.redrive`,
      topic: plan.deadLetters,
      target,
      rate,
      toRecord: (record, partition) => {
        const letter = wanted.get(formatLogPosition({ partition, offset: record.offset }));
        return letter && redrivenRecord(record, letter, deadLetterTopic, env.clock.wall_ms());
      },
    });
  const movers = [
    { isParked: false, mover: moverTo(topic) },
    { isParked: true, mover: moverTo(parkingTopic) },
  ];
  return {
    settle: async () => {
      for (const { mover } of movers) await mover.settle();
    },
    move: async (letters, progress) => {
      for (const { isParked, mover } of movers) {
        const some = letters.filter((letter) => letter.isParked === isParked);
        wanted = new Map(some.map((letter) => [formatLogPosition(letter), letter]));
        await mover.move(rangesOf(some), progress);
      }
    },
    close: async () => {
      for (const { mover } of movers) await mover.close();
    },
  };
}

/** Moves letters by Connect, in rounds. Each round names its letters one by one, so that Connect takes no others. */
export function connectLetterMover(
  connect: Connect,
  { topic, deadLetterTopic, redrives_max }: RedriveOrder,
  rate: Rate,
): LetterMover {
  return {
    settle: () => Promise.resolve(),
    move: async (letters, progress) => {
      for (let at = 0; at < letters.length; at += LETTERS_AT_ONCE_MAX) {
        const some = letters.slice(at, at + LETTERS_AT_ONCE_MAX);
        const settings = {
          REDRIVE_TOPIC: topic,
          REDRIVES_MAX: setting(redrives_max),
          REDRIVE_LETTERS: setting(some.map(formatLogPosition)),
          REDRIVE_RATE: setting(rate.records_per_s),
        };
        const input = { topic: deadLetterTopic, ranges: rangesOf(some) };
        await connect({ pipeline: "redrive", input, settings, rate, look: () => progress.look() });
      }
    },
    close: () => Promise.resolve(),
  };
}

/** The range from the first to the last letter of each partition. */
function rangesOf(letters: readonly Letter[]): OffsetRange[] {
  const ranges = new Map<number, { from: number; to: number }>();
  for (const { partition, offset } of letters) {
    const { from, to } = ranges.get(partition) ?? { from: offset, to: offset };
    ranges.set(partition, { from: Math.min(from, offset), to: Math.max(to, offset + 1) });
  }
  return [...ranges].map(([partition, range]) => ({ partition, ...range }));
}
