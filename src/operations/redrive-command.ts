import { AppError } from "../errors.ts";
import type { CommandContext } from "./command.ts";

export const REDRIVE_USAGE = "";
export async function runRedrive(_args: readonly string[], _context: CommandContext): Promise<number> {
  throw new AppError("OPERATION_REFUSED", "not yet");
}
