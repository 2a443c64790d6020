/** A place in the log: the record at `offset` of `partition`. */
export interface LogPosition {
  readonly partition: number;
  readonly offset: number;
}

/** `3:1712`, as the Log-Position header has it. */
export const formatLogPosition = ({ partition, offset }: LogPosition): string => `${partition}:${offset}`;

/** Undefined where the text names no place that a log can have. */
export function parseLogPosition(text: string): LogPosition | undefined {
  const [, partition, offset] = /^([0-9]{1,9}):([0-9]{1,16})$/.exec(text) ?? [];
  const position = { partition: Number(partition), offset: Number(offset) };
  return partition === undefined || position.offset >= Number.MAX_SAFE_INTEGER ? undefined : position;
}
