/**
 * Headers that records carry beside their own. Each name stands here once, and in pipelines/*.yaml, which
 * test/pipelines/files.test.ts compares with this.
 */

/**
 * Headers of an event: CloudEvents 1.0 in Kafka's binary mode (the value is then the event's data) and W3C Trace
 * Context. The fingerprint is a digest of the request; events that were appended under an Idempotency-Key have one.
 */
export const EVENT_HEADERS = {
  specversion: "ce_specversion",
  id: "ce_id",
  type: "ce_type",
  source: "ce_source",
  time: "ce_time",
  contentType: "content-type",
  traceparent: "traceparent",
  tracestate: "tracestate",
  fingerprint: "idempotency-fingerprint",
} as const;

/**
 * Headers of a dead letter: why it is one (reason and detail), and where the record is in the log (topic, partition
 * and offset).
 */
export const DEAD_LETTER_HEADERS = {
  reason: "x-dead-letter-reason",
  detail: "x-dead-letter-detail",
  topic: "x-dead-letter-topic",
  partition: "x-dead-letter-partition",
  offset: "x-dead-letter-offset",
} as const;

/** The reason of a letter that stands for a batch that cannot be decoded. */
export const UNDECODABLE_BATCH = "undecodable_batch";

/**
 * Headers that only some dead letters have. With a last offset, the letter stands for all offsets from its own to that
 * one, which hold no records. `cut` names the parts of the record that were shortened because it is too large for a
 * letter; the topic has the whole record.
 */
export const DEAD_LETTER_EXTRA_HEADERS = {
  lastOffset: "x-dead-letter-last-offset",
  cut: "x-dead-letter-cut",
} as const;

/** Headers of a record that a replay wrote: which replay it was, and where it read the record. */
export const REPLAY_HEADERS = {
  id: "x-replay-id",
  topic: "x-replayed-from-topic",
  partition: "x-replayed-from-partition",
  offset: "x-replayed-from-offset",
} as const;

/**
 * Headers of a record that a redrive wrote: how often the record was redriven, where its last letter is, and that
 * letter's timestamp. The timestamp is needed because a dead-letter topic that is made anew gives the same offsets to
 * other letters. Redrives of earlier versions did not write it.
 */
export const REDRIVE_HEADERS = {
  count: "x-redrive-count",
  topic: "x-redriven-from-topic",
  partition: "x-redriven-from-partition",
  offset: "x-redriven-from-offset",
  timestamp: "x-redriven-from-timestamp",
} as const;

/**
 * Headers of a letter that was parked because it had been redriven as often as allowed: where it was in the
 * dead-letter topic, and its timestamp, for the same reason.
 */
export const PARKED_HEADERS = {
  topic: "x-parked-from-topic",
  partition: "x-parked-from-partition",
  offset: "x-parked-from-offset",
  timestamp: "x-parked-from-timestamp",
} as const;
