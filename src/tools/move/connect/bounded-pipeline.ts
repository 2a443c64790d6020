/** What of one partition is read. */
export interface BoundedRange {
  readonly partition: number;
  /** The first offset to read. */
  readonly from: number;
  /** The offset of the last record to read: there must be a record, neither a transaction's marker nor an aborted one. */
  readonly last: number;
}

/** Fields of the pipeline's own input that a bounded one does without: it has offsets of its own, and so no group. */
const UNBOUNDED_FIELDS = ["topics", "consumer_group"];
const BATCH_FIELD = "max_yield_batch_bytes";

/**
 * The pipeline with its `input` replaced by bounded ones, and all else as it stands in the file, byte for byte. Connect does not stop at
 * a topic's end by itself: `read_until` does, once it has seen the range's last record, and what came with that one beyond it is
 * dropped. How to reach the brokers is taken from the pipeline's own input; `batch_bytes_max`, where given, takes the place of its
 * batches' size. Throws a plain Error where the file has no such input.
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
