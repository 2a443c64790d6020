import { Violation } from "../reference/violation.ts";
import { TOPIC } from "./topic-names.ts";
import type { World } from "./world.ts";

/**
 * Checks that the log has no record of a request whose answer promised that there is none. Requests are known by their
 * traceparent. Throws a Violation.
 */
export function auditRefusals(world: World, refused: ReadonlyMap<string, string>): void {
  for (const [partition, { entries }] of world.broker.topics.topic(TOPIC).entries()) {
    for (const [offset, entry] of entries.entries()) {
      const traceparent = entry?.headers().find(([name]) => name === "traceparent")?.[1];
      const request = traceparent ? refused.get(Buffer.from(traceparent).toString()) : undefined;
      if (request !== undefined) throw new Violation("refused-is-absent", `${request}, and yet it is at ${partition}:${offset}`);
    }
  }
}
