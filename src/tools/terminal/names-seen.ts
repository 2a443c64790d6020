import { invalid, NAME } from "../arguments.ts";

const SHOWN_MAX = 30;

/**
 * Finds mistyped event types or reasons in an option. Other programs write into the log too, so a name that this
 * program does not know may be right; one that no record has either is taken for a typing error.
 */
export class NamesSeen {
  readonly #unseen: Set<string>;
  readonly #others = new Set<string>();

  constructor(
    given: readonly string[] | undefined,
    private readonly known: readonly string[],
  ) {
    this.#unseen = new Set(given?.filter((name) => !known.includes(name)));
    this.isLooking = this.#unseen.size > 0;
  }

  /** Whether an unknown name was given, so that the records' names must be noted. */
  readonly isLooking: boolean;

  note(name: string | undefined): void {
    if (name === undefined) return;
    this.#unseen.delete(name);
    if (this.#others.size < SHOWN_MAX && NAME.test(name)) this.#others.add(name);
  }

  /** Throws OPTION_INVALID where a given name is unknown and no record has it. */
  require(option: string, where: string): void {
    const [unseen] = this.#unseen;
    if (unseen === undefined) return;
    const names = [...new Set([...this.known, ...this.#others])].join(", ");
    throw invalid(`--${option} has ${unseen}, which no record that was read from ${where} has. Possible names: ${names}.`);
  }
}
