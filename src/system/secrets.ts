import { timingSafeEqual } from "node:crypto";
import { linkSync, mkdirSync, readFileSync, unlinkSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { AppError } from "../errors.ts";

const OWNER_ALONE = 0o600;
/** What `ownSecret` writes: 32 bytes in hexadecimal. */
const OWN_SECRET = /^[0-9a-f]{64}$/;

/** Compares in a time that reveals nothing about either secret. */
export function isSameSecret(expected: string, given: string): boolean {
  const [a, b] = [expected, given].map((text) => new Bun.CryptoHasher("sha256").update(text).digest());
  return a !== undefined && b !== undefined && timingSafeEqual(a, b);
}

/**
 * Returns the secret in the file, which is made with `random_bytes` if it is missing. Processes that start at the same
 * time get the same secret, since the file appears as a whole or not at all. Throws CONFIG_INVALID if the file is not
 * usable.
 */
export function ownSecret(path: string, random_bytes: Uint8Array): string {
  const known = read(path);
  if (known !== undefined) return known;
  const secret = Buffer.from(random_bytes).toString("hex");
  const draft = `${path}.${secret.slice(0, 8)}`;
  try {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(draft, `${secret}\n`, { mode: OWNER_ALONE, flag: "wx" });
    linkSync(draft, path);
    return secret;
  } catch (e) {
    const others = codeOf(e) === "EEXIST" ? read(path) : undefined;
    if (others === undefined) throw unusable(path, e);
    return others;
  } finally {
    removeDraft(draft);
  }
}

function read(path: string): string | undefined {
  let content: string;
  try {
    content = readFileSync(path, "utf8").trimEnd();
  } catch (e) {
    if (codeOf(e) === "ENOENT") return undefined;
    throw unusable(path, e);
  }
  if (OWN_SECRET.test(content)) return content;
  throw new AppError(
    "CONFIG_INVALID",
    `${path} is not the secret that this program wrote there: remove it, and all order services that share the directory make a new one when they start again.`,
  );
}

function removeDraft(draft: string): void {
  try {
    unlinkSync(draft);
  } catch {
    // It was not made.
  }
}

const codeOf = (e: unknown): unknown => (e as NodeJS.ErrnoException | null)?.code;

const unusable = (path: string, e: unknown): AppError =>
  new AppError("CONFIG_INVALID", `${path} cannot be used: ${e instanceof Error ? e.message : String(e)}.`, {}, e);
