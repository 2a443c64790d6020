import type { Given } from "./setting.ts";
import type { SettingName } from "./settings.ts";

const LOGIN = ["KAFKA_SASL_MECHANISM", "KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD"] as const;
const NOT_GREATER = [
  ["BACKOFF_MS_MIN", "BACKOFF_MS_MAX"],
  ["APPEND_BATCH_RECORDS_MAX", "APPEND_QUEUE_RECORDS_MAX"],
  ["OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "OTEL_BSP_MAX_QUEUE_SIZE"],
] as const;

/**
 * Problems between settings that are each fine by themselves. `given` holds the settings that are set or have a
 * default.
 */
export function contradictions(given: ReadonlyMap<SettingName, Given>, invalid: ReadonlySet<SettingName>): string[] {
  const problems: string[] = [];
  const areValid = (...names: SettingName[]) => !names.some((name) => invalid.has(name));
  const missing = LOGIN.filter((name) => !given.has(name));
  const hasTls = given.get("KAFKA_TLS") === "true";
  if (missing.length > 0 && missing.length < LOGIN.length) {
    problems.push(`${missing.join(" and ")} must be set too: a login needs ${LOGIN.join(", ")}, or none of them.`);
  }
  if (!given.has("KAFKA_BROKERS") && (hasTls || missing.length < LOGIN.length)) {
    problems.push("KAFKA_BROKERS must be set where KAFKA_TLS or KAFKA_SASL_* are: the embedded log has neither.");
  }
  if (given.has("KAFKA_TLS_CA_FILE") && !hasTls) {
    problems.push("KAFKA_TLS must be true where KAFKA_TLS_CA_FILE is set.");
  }
  const bucketKeys = (["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] as const).filter((name) => !given.has(name));
  if (String(given.get("SNAPSHOT_URL")).startsWith("s3://") && bucketKeys.length > 0) {
    problems.push(`${bucketKeys.join(" and ")} must be set where SNAPSHOT_URL is s3://….`);
  }
  const port = given.get("CART_PORT");
  if (areValid("CART_PORT", "ORDER_PORT") && port === given.get("ORDER_PORT") && port !== 0) {
    problems.push(`CART_PORT and ORDER_PORT are both ${port}; they must differ.`);
  }
  for (const [less, more] of NOT_GREATER) {
    if (areValid(less, more) && Number(given.get(less)) > Number(given.get(more)))
      problems.push(`${less} is ${given.get(less)}; it must not be greater than ${more}, which is ${given.get(more)}.`);
  }
  return problems;
}
