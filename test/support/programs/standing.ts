import type { Program } from "./processes.ts";

/** A partition that a program owns or follows. */
export interface Held {
  readonly partition: number;
  readonly state: string;
  readonly offset: number;
  readonly digest: string;
}

export interface Standing {
  readonly status: string;
  readonly partitions: readonly Held[];
  readonly standbys?: readonly Held[];
}

/** How the order service is, and what it owns and follows. */
export const standing = async (program: Program): Promise<Standing> =>
  (await fetch(`${program.orderUrl}/health/ready`)).json() as Promise<Standing>;
