/** Under what the metrics count a record; their names are what dashboards rely on. */
export const RECORD_COUNTS = ["applied", "duplicate", "held", "ignored", "dead"] as const;
export type RecordCount = (typeof RECORD_COUNTS)[number];

interface OutcomeFacts {
  /** The event counts: its id is kept, and another one of that id is a duplicate (I4). */
  readonly isKept: boolean;
  /** It changed what queries answer. */
  readonly isReadable: boolean;
  readonly count: RecordCount;
  /** The record is a dead letter, for this reason: a stable code, and a sentence about an order. */
  readonly deadLetter?: { readonly code: string; readonly detail: (orderId: string) => string };
  /** For people, on the page. */
  readonly words: string;
}

/** Held updates per order. A constant and never a setting: the state is a function of the log alone. */
export const HELD_UPDATES_MAX = 100;

/** What may become of an event in its order. Metrics, dead letters, timeline, documents and page are read from this table. */
export const OUTCOMES = {
  created: { isKept: true, isReadable: true, count: "applied", words: "created the order" },
  updated: { isKept: true, isReadable: true, count: "applied", words: "applied" },
  /** It came before its create and waits for it (I5). */
  held: { isKept: true, isReadable: false, count: "held", words: "held" },
  duplicate: { isKept: false, isReadable: false, count: "duplicate", words: "duplicate: its id counted before, nothing changed" },
  /** Another create came first. */
  "already-created": { isKept: false, isReadable: false, count: "ignored", words: "ignored: the order was created before" },
  /** The queue of held updates is full. Its id is not kept, so that it can be redriven. */
  "held-overflow": {
    isKept: false,
    isReadable: false,
    count: "dead",
    deadLetter: {
      code: "held_overflow",
      detail: (orderId) => `${HELD_UPDATES_MAX} updates of ${orderId} already wait for its create`,
    },
    words: "dead letter: too many updates waited already",
  },
} as const satisfies Readonly<Record<string, OutcomeFacts>>;

export type Outcome = keyof typeof OUTCOMES;

/** What became of an event, without the table's own types. */
export const factsOf = (outcome: Outcome): OutcomeFacts => OUTCOMES[outcome];

/** Why an event may be a dead letter though its record is one: codes that never change. */
export const DEAD_OUTCOME_CODES: readonly string[] = Object.values<OutcomeFacts>(OUTCOMES).flatMap(
  ({ deadLetter }) => deadLetter?.code ?? [],
);
