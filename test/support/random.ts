import type { Random } from "../../src/system/random.ts";

export const happens = (random: Random, share: number): boolean => random() < share;

export const pick = <T>(random: Random, from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
