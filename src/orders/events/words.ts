import { EVENT_KINDS } from "./kinds.ts";

/**
 * The words of each kind of event, by its type. The page imports this as a macro: Bun calls it while it bundles the
 * page, so that the browser loads the words and not the codec.
 */
export const eventWords = (): Record<string, string> => Object.fromEntries(EVENT_KINDS.map(({ type, words }) => [type, words]));
