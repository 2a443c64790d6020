import type { TSchema } from "@sinclair/typebox";
import type { ErrorCode } from "../../errors.ts";
import type { ResponseHeaderName } from "./response-headers.ts";

/** What the service's document tells of an endpoint, beside what the endpoint itself does. */
export interface Documentation {
  readonly id: string;
  readonly tag: string;
  readonly summary: string;
  readonly description?: string;
  /** By status. */
  readonly answers: Readonly<Record<number, Answer>>;
  /** Beside those that every endpoint can answer. */
  readonly errors?: readonly ErrorCode[];
}

export interface Answer {
  readonly description: string;
  /** application/json unless said. */
  readonly contentType?: string;
  readonly schema: TSchema;
  readonly example?: unknown;
  /** Sent always. */
  readonly headers?: readonly ResponseHeaderName[];
  /** Sent where there is something to say. */
  readonly optionalHeaders?: readonly ResponseHeaderName[];
}
