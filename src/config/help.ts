import { settingsTable } from "./settings.ts";

/** The settings with their defaults and meaning, for `bun start --help`. */
export const settingsHelp = (): string => {
  const width = Math.max(...settingsTable.map(([name]) => name.length));
  const lines = settingsTable.map(([name, setting]) => {
    const meaning = setting.bounds === "" ? setting.words : `${setting.words}; ${setting.bounds}`;
    return `  ${name.padEnd(width)}  ${String(setting.default ?? "(unset)").padEnd(13)}  ${meaning}`;
  });
  return `Settings are environment variables, checked at the start (name, default, meaning):\n\n${lines.join("\n")}\n`;
};
