import { expect } from "bun:test";
import { DEAD_LETTER_HEADERS } from "../../../src/log/record-headers.ts";
import { eventually, type Rig, TOPIC } from "../rig.ts";

const { offset: OFFSET } = DEAD_LETTER_HEADERS;
export const MINUTE_MS = 60_000;

export const end = async (rig: Rig, partition = 0): Promise<number> => (await rig.log.watermarks(TOPIC))[partition]!.endOffset;

/** Partition 0, applied to its end by a store with that name. */
export async function applied(rig: Rig, name: string) {
  const set = rig.start(name, [0]);
  const endOffset = await end(rig);
  await eventually(() => set.get(0)?.nextOffset === endOffset && set.get(0)?.state === "running");
  return set;
}

/** The letters in the topic; fails if a store made anew adds any to them. */
export async function lettersOnce(rig: Rig) {
  const letters = await rig.deadLetters();
  await (await applied(rig, `again-${letters.length}`)).close();
  expect(await rig.deadLetters()).toEqual(letters);
  return letters;
}

export const offsets = (letters: Awaited<ReturnType<Rig["deadLetters"]>>) =>
  letters.map(({ headers }) => Number(headers.get(OFFSET)));
