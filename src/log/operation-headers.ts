/** What `bun run replay` and `bun run redrive` write beside a record's own headers, and the pipelines with them. */
export const REPLAY_ID_HEADER = "x-replay-id";
export const REDRIVE_COUNT_HEADER = "x-redrive-count";
