import type { Clock } from "../../../system/clock.ts";
import { isSameSecret } from "../../../system/secrets.ts";
import { AppError } from "../../../errors.ts";
import type { HttpRequest } from "../../../http/http-request.ts";
import type { Logger } from "../../../telemetry/logger.ts";

const TOKEN = /^Bearer +(.+)$/i;
/**
 * How many wrong tokens one client may send within GUESS_WINDOW_MS; after that it is told to wait, whatever it sends.
 */
export const GUESSES_MAX = 10;
export const GUESS_WINDOW_MS = 60_000;
/** Beyond this many clients, the one remembered for longest is forgotten. */
const CLIENTS_MAX = 1_000;

export interface OperatorGuardOptions {
  /** The token; if undefined, no operator's request is taken. */
  readonly operator_token: string | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface Guesses {
  readonly until_ms: number;
  count: number;
}

/**
 * Lets a request through if it has the operator's token. Wrong tokens are counted per client, so that nobody who
 * guesses can lock out an operator elsewhere. The service's log reports them once per GUESS_WINDOW_MS, and never the
 * tokens themselves.
 *
 * ```
 *  a client: unknown ──a wrong token──▶ counted ──GUESSES_MAX of them──▶ locked out ──GUESS_WINDOW_MS──▶ counted anew
 * ```
 */
export class OperatorGuard {
  readonly #guesses = new Map<string, Guesses>();
  readonly #warnedAt_ms = new Map<string, number>();
  #refused = 0;

  constructor(private readonly options: OperatorGuardOptions) {}

  /** Throws OPERATOR_ONLY, OPERATOR_TOKEN_NEEDED or OPERATOR_TOKEN_GUESSED. */
  require({ headers, client }: HttpRequest): void {
    const { operator_token, clock } = this.options;
    if (operator_token === undefined) throw new AppError("OPERATOR_ONLY", TAKES_NONE);
    const now_ms = clock.now_ms();
    const guesses = this.#guesses.get(client);
    if (guesses && guesses.until_ms > now_ms && guesses.count >= GUESSES_MAX) {
      this.#warn(client, now_ms, LOCKED_OUT);
      const retry_after_s = Math.ceil((guesses.until_ms - now_ms) / 1_000);
      throw new AppError("OPERATOR_TOKEN_GUESSED", `Too many wrong tokens came from your address; wait ${retry_after_s} s.`, {
        retry_after_s,
      });
    }
    const header = headers.get("authorization");
    if (header !== null && isSameSecret(operator_token, TOKEN.exec(header)?.[1] ?? "")) return;
    if (header !== null) this.#countGuess(client, now_ms);
    this.#warn(client, now_ms, REFUSED);
    throw new AppError(
      "OPERATOR_TOKEN_NEEDED",
      "The Authorization header must be `Bearer <OPERATOR_TOKEN>` with the token this service was started with.",
      { challenge: header === null ? CHALLENGE : `${CHALLENGE}, error="invalid_token"` },
    );
  }

  #countGuess(client: string, now_ms: number): void {
    const known = this.#guesses.get(client);
    if (known && known.until_ms > now_ms) {
      known.count++;
      return;
    }
    this.#guesses.delete(client);
    this.#guesses.set(client, { until_ms: now_ms + GUESS_WINDOW_MS, count: 1 });
    if (this.#guesses.size <= CLIENTS_MAX) return;
    for (const oldest of this.#guesses.keys()) return void this.#guesses.delete(oldest);
  }

  /** Logs a warning; its `refused` counts the requests refused since the last one. */
  #warn(client: string, now_ms: number, message: string): void {
    this.#refused++;
    if (now_ms - (this.#warnedAt_ms.get(message) ?? Number.NEGATIVE_INFINITY) < GUESS_WINDOW_MS) return;
    this.#warnedAt_ms.set(message, now_ms);
    this.options.logger.warn({ client, refused: this.#refused }, message);
    this.#refused = 0;
  }
}

export const TAKES_NONE = "This service takes no operator's requests; start it with OPERATOR_TOKEN set to take them.";

/** Each of the two is logged at most once per GUESS_WINDOW_MS. */
const REFUSED = "An operator's request was refused: it came without the token, or with a wrong one. This is told once a minute.";
const LOCKED_OUT = "Too many wrong operator's tokens came from one address, which is told to wait. This is told once a minute.";

/** RFC 6750. */
const CHALLENGE = 'Bearer realm="operator"';
