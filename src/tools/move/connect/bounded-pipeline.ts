/** The part of one partition that is read. */
export interface BoundedRange {
  readonly partition: number;
  /** The first offset to read. */
  readonly from: number;
  /**
   * The offset of the last record to read. A record must be there, not a transaction's marker or an aborted record.
   */
  readonly last: number;
}

/** The fields of the pipeline's own input that a bounded input drops: it is given offsets, and so needs no group. */
const UNBOUNDED_FIELDS = ["topics", "consumer_group"];
const BATCH_FIELD = "max_yield_batch_bytes";

/**
 * Replaces the pipeline's `input` by bounded inputs and leaves the rest of the file as it is, byte for byte. Connect
 * does not stop at a topic's end by itself; `read_until` stops after the range's last record, and later records of the
 * same batch are dropped. The bounded inputs reach the brokers as the pipeline's own input does; `batch_bytes_max`, if
 * given, replaces its batch size. Throws a plain Error where the file has no such input.
 */
export function boundedPipeline(
  pipeline: string,
  topic: string,
  ranges: readonly BoundedRange[],
  batch_bytes_max?: number,
): string {
  const found = /^input:\n {2}redpanda:\n((?:(?: {4}.*)?\n)+)/m.exec(pipeline);
  if (!found?.[1]) throw new Error("The pipeline has no input `redpanda` at its top.");
  const replaced = batch_bytes_max === undefined ? UNBOUNDED_FIELDS : [...UNBOUNDED_FIELDS, BATCH_FIELD];
  const connection = found[1]
    .split("\n")
    .filter(
      (line) => line.trim() !== "" && !line.trim().startsWith("#") && !replaced.some((field) => line.startsWith(`    ${field}:`)),
    );
  const children = ranges.flatMap(({ partition, from, last }) => [
    `      - read_until:`,
    `          check: metadata("kafka_offset").from_all().map_each(o -> o.number()).max() >= ${last}`,
    `          input:`,
    `            redpanda:`,
    ...connection.map((line) => `          ${line}`),
    `              topics: ["${topic}:${partition}:${from}"]`,
    ...(batch_bytes_max === undefined ? [] : [`              ${BATCH_FIELD}: ${batch_bytes_max}`]),
    `        processors:`,
    `          - mapping: root = if @kafka_offset.number() > ${last} { deleted() }`,
  ]);
  const input = ["input:", "  broker:", "    inputs:", ...children, "", ""].join("\n");
  return pipeline.slice(0, found.index) + input + pipeline.slice(found.index + found[0].length);
}
