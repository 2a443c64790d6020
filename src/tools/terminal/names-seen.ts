import { invalid, NAME } from "../arguments.ts";

const SHOWN_MAX = 30;

/**
 * Types or reasons that were given as options, and which of them records have. Not only those that this program knows may be meant, as
 * others write into the log too; one that it does not know and no record has is mistyped.
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

  /** False where there is nothing to look for. */
  readonly isLooking: boolean;

  note(name: string | undefined): void {
    if (name === undefined) return;
    this.#unseen.delete(name);
    if (this.#others.size < SHOWN_MAX && NAME.test(name)) this.#others.add(name);
  }

  /** Throws OPTION_INVALID where one was not seen. */
  require(option: string, where: string): void {
    const [unseen] = this.#unseen;
    if (unseen === undefined) return;
    const names = [...new Set([...this.known, ...this.#others])].join(", ");
    throw invalid(`--${option} has ${unseen}, which nothing has that was read of ${where}. There may be: ${names}.`);
  }
}
