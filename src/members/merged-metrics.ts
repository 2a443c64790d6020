import type { MemberView, ServiceName } from "./messages.ts";

interface Family {
  /** The lines that begin with #: what it is called, what it means, and its type. */
  readonly head: string[];
  readonly samples: string[];
}

const HEAD = /^# (?:HELP|TYPE) (\S+)/;

/**
 * Texts in Prometheus' format as one, in which each metric stands once, followed by everybody's samples. The samples
 * are told apart by their labels, which each text brings with it.
 */
export function mergedMetrics(texts: readonly string[]): string {
  const families = new Map<string, Family>();
  for (const text of texts) {
    const known = new Set(families.keys());
    let family: Family | undefined;
    for (const line of text.split("\n")) {
      const name = HEAD.exec(line)?.[1];
      if (name === undefined) {
        if (line !== "") family?.samples.push(line);
        continue;
      }
      family = families.get(name) ?? { head: [], samples: [] };
      families.set(name, family);
      if (!known.has(name)) family.head.push(line);
    }
  }
  return [...families.values()].map(({ head, samples }) => `${[...head, ...samples].join("\n")}\n`).join("\n");
}

/** What the set itself counts, in the same format. */
export function setMetrics(
  service: ServiceName,
  views: readonly MemberView[],
  hasAnswered: (view: MemberView) => boolean,
): string {
  const gauge = (name: string, help: string, type: "gauge" | "counter", value: (view: MemberView) => number) =>
    [
      `# HELP ${name} ${help}`,
      `# TYPE ${name} ${type}`,
      ...views.map((view) => `${name}{component="${service}",member="${view.member}"} ${value(view)}`),
      "",
    ].join("\n");
  return [
    gauge("orders_member_up", "1 for each member behind the port that answers.", "gauge", (view) => (hasAnswered(view) ? 1 : 0)),
    gauge("orders_member_restarts_total", "Times that a member ended and was started again.", "counter", (view) => view.restarts),
  ].join("\n");
}
