import { Type } from "@sinclair/typebox";
import type { Fleet } from "../../../fleet/fleet.ts";
import type { Endpoint } from "../../../http/endpoint/endpoint.ts";
import { jsonAnswer } from "../../../http/endpoint/json-answer.ts";
import { queryParameter } from "../../../http/endpoint/parameter.ts";
import type { HeldPartitions } from "../../../runtime/held-partitions.ts";
import type { Clock } from "../../../system/clock.ts";
import { IDS_QUESTION_PATH } from "../listing/fleet-order-ids.ts";
import { MERGE_IDS_MAX, orderIdsPage } from "../listing/merged-order-ids.ts";
import { Turns } from "../listing/order-listing.ts";
import type { NewestRecords } from "../query/newest-records.ts";
import { limitParameter } from "../query/pages.ts";
import { hopEndpoint, partitionsParameter } from "../../../fleet/hop-endpoint.ts";

export interface IdsHopOptions {
  readonly fleet: Fleet;
  readonly partitions: HeldPartitions;
  readonly newest: Pick<NewestRecords, "requireApplied">;
  readonly clock: Clock;
}

/** A page of the ids of partitions that are held here; 421 if one of them is not. */
export const idsHop = ({ fleet, partitions, newest, clock }: IdsHopOptions): Endpoint => {
  const turns = new Turns(clock);
  return hopEndpoint(fleet, {
    method: "GET",
    path: IDS_QUESTION_PATH,
    parameters: [
      partitionsParameter,
      queryParameter("after", { description: "The last id told.", schema: Type.String(), example: "ORD-7" }),
      limitParameter(1, MERGE_IDS_MAX),
    ],
    handle: async (_, { partitions: asked, after, limit }) => {
      await turns.next();
      return jsonAnswer(JSON.stringify({ orderIds: await orderIdsPage(partitions, newest, asked, after, limit) }));
    },
  });
};
