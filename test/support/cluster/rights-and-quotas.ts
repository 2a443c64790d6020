import { type BrokerCalls, check } from "./broker-calls.ts";
import type { FieldReader, FieldWriter } from "./fields.ts";

export interface Acl {
  readonly resource: "topic" | "group" | "transactional-id";
  readonly name: string;
  /** Whether all names that begin with `name` are meant. */
  readonly prefix?: boolean;
  readonly operation: "read" | "write" | "create" | "describe";
}

const RESOURCES = { topic: 2, group: 3, "transactional-id": 5 } as const;
const OPERATIONS = { read: 3, write: 4, create: 5, describe: 8 } as const;
const ALLOW = 3;
const LITERAL = 3;
const PREFIXED = 4;

export async function allow(calls: BrokerCalls, user: string, acls: readonly Acl[]): Promise<void> {
  const write = (fields: FieldWriter) => fields.array(acls, (acl) => writeAcl(fields, user, acl));
  const answer = await calls.ask({ apiKey: 30, apiVersion: 1, write });
  answer.int32();
  answer.array(() => check(answer.int16(), `allowing ${user}: ${answer.string() ?? ""}`));
}

export async function disallow(calls: BrokerCalls, user: string, acls: readonly Acl[]): Promise<void> {
  const write = (fields: FieldWriter) => fields.array(acls, (acl) => writeAcl(fields, user, acl));
  const answer = await calls.ask({ apiKey: 31, apiVersion: 1, write });
  answer.int32();
  const found = answer.array(() => {
    check(answer.int16(), `taking from ${user}: ${answer.string() ?? ""}`);
    return answer.array(() => skipAcl(answer)).length;
  });
  if (found.includes(0)) throw new Error(`${user} had not all of what was to be taken: ${JSON.stringify(acls)}`);
}

/**
 * Sets limits (`consumer_byte_rate`, `producer_byte_rate`, `request_percentage`) for a user's clients of one id; null
 * removes a limit.
 */
export async function setQuotas(
  calls: BrokerCalls,
  user: string,
  clientId: string,
  limits: Readonly<Record<string, number | null>>,
): Promise<void> {
  const entity = Object.entries({ user, "client-id": clientId });
  const writeLimit = (fields: FieldWriter, key: string, value: number | null) =>
    fields
      .string(key)
      .float64(value ?? 0)
      .boolean(value === null);
  const write = (fields: FieldWriter) =>
    fields
      .array([entity], (parts) =>
        fields
          .array(parts, ([type, name]) => fields.string(type).string(name))
          .array(Object.entries(limits), ([key, value]) => writeLimit(fields, key, value)),
      )
      .boolean(false);
  const answer = await calls.ask({ apiKey: 49, apiVersion: 0, write });
  answer.int32();
  const count = answer.int32();
  if (count !== 1) throw new Error(`The quotas of ${count} clients were set.`);
  check(answer.int16(), `quotas: ${answer.string() ?? ""}`);
}

const writeAcl = (fields: FieldWriter, user: string, { resource, name, prefix = false, operation }: Acl) =>
  fields
    .int8(RESOURCES[resource])
    .string(name)
    .int8(prefix ? PREFIXED : LITERAL)
    .string(`User:${user}`)
    .string("*")
    .int8(OPERATIONS[operation])
    .int8(ALLOW);

function skipAcl(answer: FieldReader): void {
  answer.int16();
  answer.string();
  answer.int8();
  answer.string();
  answer.int8();
  answer.string();
  answer.string();
  answer.int8();
  answer.int8();
}
