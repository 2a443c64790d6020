/** A promise that the system broke. */
export class Violation extends Error {
  constructor(
    readonly invariant: string,
    detail: string,
    /** Whose history shows how it came about. */
    readonly orderId?: string,
  ) {
    super(`${invariant}: ${detail}`);
  }
}
