/** Identifies a question for the log's ends, and keeps what was known when it was asked. */
export interface Question {
  readonly number: number;
  readonly nextOffset: number;
  readonly isVerified: boolean;
  /** On the process's clock. */
  readonly asked_ms: number;
}
