import { settingGroups } from "../../src/config/settings.ts";
import type { Setting } from "../../src/config/setting.ts";

/** The path of the file that holds the text of `settingsPage`, from the top level of the repository. */
export const SETTINGS_PAGE = "docs/settings.md";

const HEAD = `# Settings

Which settings are there, what are their defaults and bounds, and what does each do? They are environment variables,
checked at the start. One that is wrong, or nearly one of ours (\`KAFKA_BROKER\`), ends the start with a sentence and
exit code 2 ([decision 16](decisions/0016-settings-that-are-nearly-right.md)). An empty variable counts as unset, and a secret
is in no message and in no line of the log. \`bun start --help\` prints the same list.

This page is made from the table in \`src/config/settings.ts\`, by \`bun run settings\`; write there what is to be changed
here.
`;

/** Notes about a group as a whole, which stand below its heading. */
const GROUP_NOTES: Partial<Record<keyof typeof settingGroups, string>> = {
  OpenTelemetry: `These are OpenTelemetry's own variables, as its specification has them. \`OTEL_SERVICE_NAME\` holds for both roles of a
process. What this program cannot do is refused by name: another protocol than \`http/json\`, other samplers, other
propagators than W3C's. The variables of metrics and logs are left alone, as metrics are at \`/metrics\`.`,
};

/** The page with the tables of settings, as docs/settings.md has it. */
export const settingsPage = (): string =>
  [
    HEAD,
    ...Object.entries(settingGroups).map(([title, group]) => {
      const note = GROUP_NOTES[title as keyof typeof settingGroups];
      return [`## ${title}\n`, ...(note === undefined ? [] : [`${note}\n`]), tableOf(group)].join("\n");
    }),
  ].join("\n");

const tableOf = (group: Readonly<Record<string, Setting>>): string => {
  const rows = Object.entries(group).map(([name, setting]) => [
    `\`${name}\``,
    setting.default === undefined ? "" : `\`${setting.default}\``,
    // “be a path” and “have 1 to 1024 characters” are the ends of sentences that refuse a value.
    setting.must.replace(/^(?:be|have) /, ""),
    sentenceOf(setting),
  ]);
  return markdownTable([["Setting", "Default", "May be", "What it does"], ...rows]);
};

const sentenceOf = ({ words, note, secret }: Setting): string => {
  const parts = [asProse(words), note, secret ? "Secret." : undefined];
  return parts.filter((part) => part !== undefined).join(" ");
};

/** The help's words as a sentence. Angle brackets are quoted, since they would be taken for HTML. */
const asProse = (words: string): string => `${words.replaceAll(/<[^>]*>[^\s;]*/g, "`$&`")}.`;

/** A table laid out as `bun fmt` does it, except for the last column. */
const markdownTable = ([head, ...rows]: readonly (readonly string[])[]): string => {
  const all = [head!, ...rows];
  const widths = head!.map((_, column) => Math.max(...all.map((row) => row[column]!.length)));
  const line = (row: readonly string[]) => `| ${row.map((cell, column) => cell.padEnd(widths[column]!)).join(" | ")} |`;
  return `${[line(head!), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n")}\n`;
};
