import { isDamage } from "../../../src/runtime/store/store-failures.ts";

/** Whether the call throws an error for damage; any other error is thrown on. */
export function throwsDamage(call: () => unknown): boolean {
  try {
    call();
    return false;
  } catch (e) {
    if (isDamage(e)) return true;
    throw e;
  }
}
