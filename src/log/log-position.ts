/** A place in the log: the record at `offset` of `partition`. */
export interface LogPosition {
  readonly partition: number;
  readonly offset: number;
}

/** Writes a position as the Log-Position header has it: `3:1712`. */
export const formatLogPosition = ({ partition, offset }: LogPosition): string => `${partition}:${offset}`;

/** Undefined if the text names no position that a log can have. */
export function parseLogPosition(text: string): LogPosition | undefined {
  const [, partition, offset] = /^([0-9]{1,9}):([0-9]{1,16})$/.exec(text) ?? [];
  const position = { partition: Number(partition), offset: Number(offset) };
  return partition === undefined || position.offset >= Number.MAX_SAFE_INTEGER ? undefined : position;
}
