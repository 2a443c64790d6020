import { createHmac } from "node:crypto";
import { AppError } from "../errors.ts";
import type { HttpRequest } from "../http/http-request.ts";
import { isSameSecret } from "../system/secrets.ts";
import type { FleetConcerns } from "./fleet-concerns.ts";
import type { RareWarnings } from "./rare-warnings.ts";

const TOKEN = "fleet-token";
const FROM = "fleet-from";
const DEADLINE_MS = "fleet-deadline-ms";

/** How long a peer works for a hop that does not say how long its asker waits. */
const WORK_MS_MAX = 10_000;

/** RFC 9110, 11.6.1, wants a challenge with each 401. */
const CHALLENGE = 'Fleet realm="members"';

export const TOKENS_DIFFER =
  "Give all members of the group the same PEER_TOKEN_FILE; they must also have the same log and topic.";

/**
 * By what a member's request shows that it is one. The secret itself is never sent: the token is made of it, the log and
 * the topic, so that an instance of another fleet at an address that was once a member's is neither believed nor
 * answered.
 *
 * ```
 *  made ──begin(), the log is known──▶ guarding
 * ```
 */
export class PeerGuard {
  #token: string | undefined;

  constructor(
    private readonly secret: string | undefined,
    private readonly topic: string,
    private readonly warnings: RareWarnings,
    private readonly concerns: FleetConcerns,
  ) {}

  begin(logId: string): void {
    if (this.secret === undefined) return;
    this.#token = createHmac("sha256", this.secret)
      .update(JSON.stringify([logId, this.topic]))
      .digest("hex");
  }

  /** The headers of a hop from the member `self`, which waits for `wait_ms`. Undefined if there is no token. */
  headers(self: string | undefined, wait_ms: number): Readonly<Record<string, string>> | undefined {
    if (this.#token === undefined) return undefined;
    return { [TOKEN]: this.#token, [FROM]: self ?? "", [DEADLINE_MS]: String(Math.max(0, Math.floor(wait_ms))) };
  }

  /**
   * Returns for how long the asker waits, in milliseconds. Throws PEER_TOKEN_NEEDED, PEER_TOKEN_WRONG, CATCHING_UP while
   * this member does not know its log yet, or PARTITION_ELSEWHERE if the request is this member's own.
   */
  admit({ headers }: HttpRequest, self: string | undefined): number {
    if (this.#token === undefined) throw new AppError("CATCHING_UP", "The log is not known yet; ask again.");
    const given = headers.get(TOKEN);
    if (given === null)
      throw new AppError("PEER_TOKEN_NEEDED", "Only members of a fleet ask each other here, with its token.", {
        challenge: CHALLENGE,
      });
    const from = headers.get(FROM);
    const isRefused = !isSameSecret(this.#token, given);
    if (from !== null) this.concerns.askedBy(from, isRefused);
    if (isRefused) {
      this.warnings.tell(`Another member was refused, as its token is not this one's. ${TOKENS_DIFFER}`);
      throw new AppError("PEER_TOKEN_WRONG", `The token is not the one of this fleet. ${TOKENS_DIFFER}`);
    }
    if (from !== null && from !== "" && from === self) {
      const why =
        "A question to another member came back to the one that asked: both say that they are reached at the same URL. If this one was just started again without its state, it is in the group twice until its former session is over, and nothing is to be done; else set ADVERTISED_URL for each.";
      this.warnings.tell(why);
      throw new AppError("PARTITION_ELSEWHERE", why);
    }
    const wait_ms = Number(headers.get(DEADLINE_MS) ?? Number.NaN);
    return wait_ms >= 0 ? Math.min(wait_ms, WORK_MS_MAX) : WORK_MS_MAX;
  }
}
