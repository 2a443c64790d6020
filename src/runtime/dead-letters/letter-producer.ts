import { AppError, isAppError } from "../../errors.ts";
import type { Log, Producer } from "../../log/port.ts";

/** Opens the producer that appends letters under this name: a partition's number, or the name of a trial. */
export async function letterProducer(log: Log, deadLetterTopic: string, name: string | number): Promise<Producer> {
  try {
    return await log.fencedProducer(`${deadLetterTopic}.${name}`);
  } catch (e) {
    if (!isAppError(e, "APPEND_REFUSED")) throw e;
    const all = `Each partition has an id of its own: grant it on all ids with the prefix "${deadLetterTopic}."`;
    throw new AppError(e.code, `${e.message} ${all}`, {}, e);
  }
}
