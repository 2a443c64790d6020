import type { TSchema } from "@sinclair/typebox";
import type { ErrorCode } from "../../errors.ts";
import type { ResponseHeaderName } from "./response-headers.ts";

/** What the service's document says about an endpoint, beside what the endpoint itself defines. */
export interface Documentation {
  readonly id: string;
  readonly tag: string;
  readonly summary: string;
  readonly description?: string;
  /** The answers by status. */
  readonly answers: Readonly<Record<number, Answer>>;
  /** Errors beside those that every endpoint can answer with. */
  readonly errors?: readonly ErrorCode[];
}

export interface Answer {
  readonly description: string;
  /** The default is application/json. */
  readonly contentType?: string;
  readonly schema: TSchema;
  readonly example?: unknown;
  /** Headers that are always sent. */
  readonly headers?: readonly ResponseHeaderName[];
  /** Headers that are sent if there is something to say. */
  readonly optionalHeaders?: readonly ResponseHeaderName[];
}
