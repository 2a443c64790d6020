import { expect, test } from "bun:test";
import { readConfig } from "../src/config/config.ts";
import { ANSWER_MARGIN_MS, BATCH_BYTES_MAX as SEND_BYTES_MAX, RESEND_MS_MIN, SWEEP_MS } from "../src/log/append/appender.ts";
import { ABORT_MS_MAX, TRANSACTION_TIMEOUT_MS } from "../src/log/kafka/append/fenced-producer.ts";
import { BATCH_BYTES_MAX as KAFKA_BATCH_BYTES, SEND_MS_MAX } from "../src/log/kafka/append/producer.ts";
import { HOPS_MS_MAX } from "../src/fleet/fleet.ts";
import { HEDGE_MS, METADATA_MS_MAX } from "../src/log/kafka/connection/connections.ts";
import * as leaderWatch from "../src/log/kafka/connection/leader-watch.ts";
import { HEARTBEATS_PER_SESSION } from "../src/log/kafka/group/membership.ts";
import * as fetching from "../src/log/kafka/protocol/fetch.ts";
import * as producing from "../src/log/kafka/protocol/produce.ts";
import * as reader from "../src/log/kafka/read/reader.ts";
import { BATCH_BYTES_MAX as SQLITE_BATCH_BYTES } from "../src/log/sqlite/sqlite-producer.ts";
import { OPEN_TRANSACTION_MS_MIN } from "../src/runtime/read/hidden-tail.ts";
import { DELIVERY_MS_MAX, READ_FAILING_MS_MAX } from "../src/runtime/actor/hindrance.ts";
import { CUT_MS_MIN } from "../src/runtime/actor/cut.ts";
import { LAG_MS_MIN } from "../src/runtime/read/known-end.ts";
import { LOOKS_MAX } from "../src/runtime/read/standstill.ts";
import { APPEND_BYTES_MAX as LETTERS_BYTES_MAX } from "../src/runtime/dead-letters/letter-size.ts";
import { LOOK_WAIT_MS } from "../src/runtime/read/regular-look.ts";
import { FETCH } from "../src/runtime/read/read-loop.ts";
import { NEWEST_WAIT_MS_MAX } from "../src/services/orders/query/newest-records.ts";
import { UNHEARD_AGE_MS_MAX } from "../src/services/orders/query/trust.ts";
import { UNREAD_WAIT_MS_MAX } from "../src/services/orders/query/unread/unread-records.ts";
import { COUNT_TRUSTED_MS_MAX } from "../src/services/cart/placement/placement.ts";
import { PARTITION_COUNT_WAIT_MS } from "../src/services/cart/service.ts";

/**
 * Constants of different files that hold only together: whoever changes one finds here which others it must stay
 * below.
 */
const defaults = readConfig({});
const longestAppend = readConfig({ APPEND_WAIT_MS_MAX: "4500" });
const STANDSTILL_MS_MIN = LOOKS_MAX * LOOK_WAIT_MS;
const FETCHES_BEFORE_LAG = 4;

const relations: [what: string, least: number, most: number][] = [
  ["what the appender sends at once leaves a broker's default batch a quarter free", SEND_BYTES_MAX, 0.75 * KAFKA_BATCH_BYTES],
  ["the letters that are appended at once are half of such a batch at most", LETTERS_BYTES_MAX, KAFKA_BATCH_BYTES / 2],
  ["the embedded log takes in one transaction what a broker takes in one batch", KAFKA_BATCH_BYTES, SQLITE_BATCH_BYTES],
  ["a deadline is noticed before the answer that is due then would be late", SWEEP_MS, ANSWER_MARGIN_MS / 2],
  ["what is sent again has longer than the answer takes", ANSWER_MARGIN_MS, RESEND_MS_MIN],
  ["the count of partitions is asked for twice while an answer is trusted", 2 * PARTITION_COUNT_WAIT_MS, COUNT_TRUSTED_MS_MAX],
  [
    "added partitions are waited for until no create can land that was placed by a count of before",
    COUNT_TRUSTED_MS_MAX + longestAppend.append_wait_ms_max,
    defaults.partitions_settle_ms,
  ],
  ["a partition lags only after several fetches that might have come", FETCHES_BEFORE_LAG * FETCH.wait_ms_max, LAG_MS_MIN],
  [
    "what hinders a partition is told as that before it could count as standing still",
    Math.max(LAG_MS_MIN, CUT_MS_MIN, DELIVERY_MS_MAX, READ_FAILING_MS_MAX, OPEN_TRANSACTION_MS_MIN),
    STANDSTILL_MS_MIN / 2,
  ],
  ["the next broker is asked for metadata well before the first one's time is over", HEDGE_MS, METADATA_MS_MAX / 2],
  [
    "that a leader was replaced is noticed before an append that it holds is over",
    leaderWatch.PATIENCE_MS + leaderWatch.LOOK_WAIT_MS,
    producing.REPLICATION_WAIT_MS_MAX,
  ],
  [
    "that a leader was replaced is noticed before a fetch that it holds is over",
    reader.PATIENCE_MS + reader.LATE_WAIT_MS,
    fetching.REQUEST_SLACK_MS,
  ],
  [
    "an append without a deadline can be tried again after one that was not answered",
    2 * (producing.REPLICATION_WAIT_MS_MAX + producing.REQUEST_SLACK_MS),
    SEND_MS_MAX,
  ],
  ["a transaction is aborted by us before the broker does it", ABORT_MS_MAX, TRANSACTION_TIMEOUT_MS / 2],
  [
    "a 404 that waits for the newest and the unread records is told well within a hop",
    NEWEST_WAIT_MS_MAX + UNREAD_WAIT_MS_MAX,
    HOPS_MS_MAX / 2,
  ],
  [
    "an owner of a quiet partition hears of the log's end before it marks what it tells, also if a look and the next take long",
    3 * LOOK_WAIT_MS,
    UNHEARD_AGE_MS_MAX,
  ],
  ["a member loses no partition over two heartbeats that are lost", 3, HEARTBEATS_PER_SESSION / 2],
];

test.each(relations)("%s", (_, least, most) => {
  expect(least).toBeGreaterThan(0);
  expect(least).toBeLessThanOrEqual(most);
});
