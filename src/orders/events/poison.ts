/** The codes of why a record is no event. They never change, since dead letters, dashboards and redrives name them. */
export const POISON_CODES = [
  "null_value",
  "empty_value",
  "value_too_large",
  "invalid_utf8",
  "not_json",
  "wrong_shape",
  "unknown_event_type",
  "missing_event_id",
  "invalid_order_id",
  "key_mismatch",
  "invalid_number",
  "invalid_date",
  "invalid_status",
  "invalid_currency",
] as const;

export type PoisonCode = (typeof POISON_CODES)[number];

/** Why a record is no event, as a stable code and a sentence. Both depend on the record's bytes alone. */
export interface Poison {
  readonly poison: PoisonCode;
  readonly detail: string;
}

export const isPoison = (decoded: object): decoded is Poison => "poison" in decoded;

export const poison = (code: PoisonCode, detail: string): Poison => ({ poison: code, detail });
