import { type TSchema, Type } from "@sinclair/typebox";
import type { ChangeKind, CreateKind } from "./event-kind.ts";
import { orderCreated } from "./order-created.ts";
import { orderStatusUpdated } from "./order-status-updated.ts";
import type { Poison } from "./poison.ts";

/**
 * All kinds of event. Codec, schemas, fold, digest, timeline, documents and page read this list, so a new kind is one
 * file and a line here. A test checks that types and names are unique.
 */
export const EVENT_KINDS = [orderCreated, orderStatusUpdated] as const;

type Kinds = (typeof EVENT_KINDS)[number];

export type OrderEvent = Exclude<ReturnType<Kinds["decode"]>, Poison>;

export type EventType = OrderEvent["type"];

/** What a change kind's event does to an existing order; the events themselves are changes, too. */
export type Change = ReturnType<Extract<Kinds, { readonly isCreate: false }>["change"]>;

/** Any kind of event, where nothing depends on which it is. */
export type EventKind = CreateKind<OrderEvent> | ChangeKind<OrderEvent, Change>;

const kinds: readonly EventKind[] = EVENT_KINDS;

const byType: ReadonlyMap<string, EventKind> = new Map(kinds.map((kind) => [kind.type, kind]));

export const EVENT_TYPES: readonly string[] = kinds.map(({ type }) => type);

export const findKind = (type: string): EventKind | undefined => byType.get(type);

/** By the type of an event, which is a constant of the program and so found faster as a property than in a map. */
const kindsByType = Object.fromEntries(byType) as Readonly<Record<EventType, EventKind>>;

export const kindOf = ({ type }: { readonly type: EventType }): EventKind => kindsByType[type];

const changeKinds = kinds.filter((kind) => !kind.isCreate);

export function changeKindOf({ type }: Change): ChangeKind<OrderEvent, Change> {
  const kind = kindsByType[type];
  if (kind.isCreate) throw new Error(`${type} is in the type of changes and not among their kinds.`);
  return kind;
}

/** The held change that a row keeps as this word; undefined where no kind writes the word. */
export function readChange(word: string): Change | undefined {
  for (const kind of changeKinds) {
    const change = kind.readWord(word);
    if (change) return change;
  }
  return undefined;
}

const [firstWords, ...otherWords] = changeKinds.map(({ wordSchema }) => wordSchema);

/** The JSON Schema of what `writeChange` writes. */
export const heldWordSchema: TSchema =
  firstWords === undefined || otherWords.length > 0 ? Type.Union(changeKinds.map(({ wordSchema }) => wordSchema)) : firstWords;

export const writeChange = (change: Change): string => changeKindOf(change).writeWord(change);
