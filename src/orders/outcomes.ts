/** The labels under which metrics count records. Dashboards rely on them. */
export const RECORD_COUNTS = ["applied", "duplicate", "held", "ignored", "dead"] as const;
export type RecordCount = (typeof RECORD_COUNTS)[number];

interface OutcomeFacts {
  /** Whether the event counts: its id is kept, and a later event with that id is a duplicate (I4). */
  readonly isKept: boolean;
  /** Whether the event changed what queries answer. */
  readonly isReadable: boolean;
  readonly count: RecordCount;
  /** Why the record is a dead letter, if it is one: a stable code and a sentence about the order. */
  readonly deadLetter?: { readonly code: string; readonly detail: (orderId: string) => string };
  /** The outcome in words for the page. */
  readonly words: string;
}

/** The most held updates of an order. It is a constant and not a setting, since the state depends on the log alone. */
export const HELD_UPDATES_MAX = 100;

/** What may become of an event in its order. Metrics, dead letters, timeline, documents and page read this table. */
export const OUTCOMES = {
  created: { isKept: true, isReadable: true, count: "applied", words: "created the order" },
  updated: { isKept: true, isReadable: true, count: "applied", words: "applied" },
  /** The update came before its order's create and waits for it (I5). */
  held: { isKept: true, isReadable: false, count: "held", words: "held" },
  duplicate: { isKept: false, isReadable: false, count: "duplicate", words: "duplicate: its id counted before, nothing changed" },
  /** Another create of the order came first. */
  "already-created": { isKept: false, isReadable: false, count: "ignored", words: "ignored: the order was created before" },
  /** The order holds as many updates as it may. The event's id is not kept, so that the event can be redriven. */
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

/** The facts of an outcome in their general type. */
export const factsOf = (outcome: Outcome): OutcomeFacts => OUTCOMES[outcome];

/** The codes of why a valid event may become a dead letter. They never change. */
export const DEAD_OUTCOME_CODES: readonly string[] = Object.values<OutcomeFacts>(OUTCOMES).flatMap(
  ({ deadLetter }) => deadLetter?.code ?? [],
);
