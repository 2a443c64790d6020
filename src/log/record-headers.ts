/**
 * Headers that records carry beside their own: each name stands here once, and in pipelines/*.yaml, which
 * test/pipelines/files.test.ts holds to it.
 */

/**
 * Of an event: CloudEvents 1.0 in Kafka's binary mode (the value is then the event's data) and W3C Trace Context. The
 * fingerprint is a digest of the request, on an event that was appended for one with an Idempotency-Key.
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

/** Of a dead letter. Reason, detail: why; topic, partition, offset: where it stands in the log. */
export const DEAD_LETTER_HEADERS = {
  reason: "x-dead-letter-reason",
  detail: "x-dead-letter-detail",
  topic: "x-dead-letter-topic",
  partition: "x-dead-letter-partition",
  offset: "x-dead-letter-offset",
} as const;

/** The reason of a letter that stands for a batch which cannot be decoded. */
export const UNDECODABLE_BATCH = "undecodable_batch";

/**
 * Of some dead letters. Last offset: the letter stands for all from its offset to that one, which are no records. Cut: what of the
 * record is not all there, as it is too large for a letter; the whole of it is in the topic.
 */
export const DEAD_LETTER_EXTRA_HEADERS = {
  lastOffset: "x-dead-letter-last-offset",
  cut: "x-dead-letter-cut",
} as const;

/** Of what a replay wrote: which replay, and where it read the record. */
export const REPLAY_HEADERS = {
  id: "x-replay-id",
  topic: "x-replayed-from-topic",
  partition: "x-replayed-from-partition",
  offset: "x-replayed-from-offset",
} as const;

/**
 * Of what a redrive wrote: how often the record was redriven, where its last letter stands, and the time of that letter, since a
 * dead-letter topic that is made anew gives the same places to others. Redrives of earlier versions gave no time.
 */
export const REDRIVE_HEADERS = {
  count: "x-redrive-count",
  topic: "x-redriven-from-topic",
  partition: "x-redriven-from-partition",
  offset: "x-redriven-from-offset",
  timestamp: "x-redriven-from-timestamp",
} as const;

/** Of a letter that was redriven as often as allowed: where it stands in the dead-letter topic, and its time, as above. */
export const PARKED_HEADERS = {
  topic: "x-parked-from-topic",
  partition: "x-parked-from-partition",
  offset: "x-parked-from-offset",
  timestamp: "x-parked-from-timestamp",
} as const;
