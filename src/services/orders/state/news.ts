import type { LogRecord } from "../../../log/port.ts";
import type { RecordBlock } from "../../../log/record-block.ts";

/** The first and the last record since the last `keep` that changed what queries see. */
export class News {
  #first: RecordBlock | LogRecord | undefined;
  #firstN = 0;
  #last: RecordBlock | LogRecord | undefined;
  #lastN = 0;

  /** Notes a record, or the n-th of a block. */
  note(place: RecordBlock | LogRecord, n: number): void {
    if (this.#first === undefined) {
      this.#first = place;
      this.#firstN = n;
    } else {
      this.#last = place;
      this.#lastN = n;
    }
  }

  records(): LogRecord[] {
    const first = this.#first && recordAt(this.#first, this.#firstN);
    const last = this.#last && recordAt(this.#last, this.#lastN);
    return first ? (last ? [first, last] : [first]) : [];
  }

  clear(): void {
    this.#first = undefined;
    this.#last = undefined;
  }
}

const recordAt = (place: RecordBlock | LogRecord, n: number): LogRecord => ("places" in place ? place.record(n) : place);
