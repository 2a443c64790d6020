import type { LiveAbout, LiveFigures } from "../live/live-figures.ts";
import { DeadLetterList } from "./dead-letters.ts";
import { byId, h } from "./elements.ts";
import { listen } from "./feed.ts";
import { FindOrder } from "./find-order.ts";
import { showTable } from "./partition-table.ts";
import { Picture } from "./picture.ts";
import { Plots } from "./plots.ts";
import { Summary } from "./summary.ts";
import { TryIt } from "./try-it.ts";

const summary = new Summary();
const picture = new Picture(byId("picture"));
const plots = new Plots(byId("plot-list"));
const findOrder = new FindOrder();
const deadLetters = new DeadLetterList();
const tryIt = new TryIt({
  now_ms: () => performance.now(),
  newOrderNumber: () => String(Date.now()),
  onReadable: (orderId, position) => {
    picture.flash(Number(position.split(":")[0]));
    void findOrder.find(orderId, position);
  },
});

findOrder.start();
deadLetters.start();

let latest: LiveFigures | undefined;
byId("table").addEventListener("toggle", () => latest && showTable(latest));

listen({
  onAbout: (about) => {
    tryIt.show(about);
    showFoot(about);
  },
  onHistory: (history) => plots.showHistory(history),
  onFigures: (figures) => {
    latest = figures;
    summary.show(figures);
    picture.show(figures);
    showTable(figures);
    plots.add(figures);
    deadLetters.show(figures);
  },
  onStale: () => summary.showStale(),
});

function showFoot({ log, topicName, deadLetterTopic }: LiveAbout): void {
  const link = (path: string) => h("a", { href: path }, path);
  byId("foot").replaceChildren(
    `The log: ${log}; topic ${topicName}, dead letters in ${deadLetterTopic}. As JSON: `,
    link("partitions"),
    " ",
    link("dead-letters"),
    " ",
    link("health/ready"),
  );
}
