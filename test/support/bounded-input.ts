export interface OffsetRange {
  readonly partition: number;
  /** The first offset to read. */
  readonly from: number;
  /** The offset of the last record to read: there must be a record, neither a transaction's marker nor an aborted one. */
  readonly last: number;
}

/**
 * The text of a pipeline whose one Kafka input is replaced by one per range, each of which ends once its last record was written; so
 * the pipeline ends by itself, with exit code 0, when all is written. Everything else stays the same text: what stands without quotes
 * around a variable must stay so, since "false" in quotes lints, and is refused when it is run.
 */
export function boundInput(pipeline: string, topic: string, ranges: readonly OffsetRange[]): string {
  const section = /^input:\n(?<body>(?:[ #].*\n|\n)*)/m.exec(pipeline);
  if (!section || ranges.length === 0) throw new Error("A pipeline with an input, and at least one range, are needed.");
  const kafka = section.groups!["body"]!.replaceAll(/^ {4}(?:topics|consumer_group):.*\n/gm, "").trimEnd();
  const children = ranges.map(
    ({ partition, from, last }) => `
      - read_until:
          check: metadata("kafka_offset").from_all().map_each(offset -> offset.number()).max() >= ${last}
          input:
${kafka.replaceAll(/^(?=.)/gm, " ".repeat(10))}
              topics: ["${topic}:${partition}:${from}"]
        processors:
          - mapping: root = if @kafka_offset.number() > ${last} { deleted() }`,
  );
  return pipeline.replace(section[0], () => `input:\n  broker:\n    inputs:${children.join("")}\n\n`);
}

/** From offset 0 to the last of these records, which ascend, in each partition that has any. */
export function rangesOf(records: readonly { readonly partition: number; readonly offset: number }[]): OffsetRange[] {
  const lasts = new Map(records.map(({ partition, offset }) => [partition, offset]));
  return [...lasts].map(([partition, last]) => ({ partition, from: 0, last }));
}
