import { writeFileSync } from "node:fs";
import { join } from "node:path";

/** Makes a file with the secret of a fleet whose members have directories of their own; returns its path. */
export function peerSecret(directory: string): string {
  const path = join(directory, "peer-secret");
  writeFileSync(path, `${"0123456789abcdef".repeat(4)}\n`);
  return path;
}
