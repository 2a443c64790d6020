import { Type } from "@sinclair/typebox";
import { partitionExample, partitionProperties, readinessProperties } from "../../../api/health-endpoints.ts";
import type { Fleet } from "../../../fleet/fleet.ts";
import { type Endpoint, endpoint } from "../../../http/endpoint/endpoint.ts";
import { jsonAnswer } from "../../../http/endpoint/json-answer.ts";
import type { HeldPartitions } from "../../../runtime/held-partitions.ts";
import { hopEndpoint } from "../../../fleet/hop-endpoint.ts";
import { fleetStanding, ownStanding, STANDING_PATH } from "./fleet-standing.ts";

export interface PartitionsOptions {
  readonly partitions: HeldPartitions;
  readonly fleet: Fleet;
  readonly log_name: string;
  readonly orders_topic: string;
}

const owner = Type.Optional(Type.String({ description: "The URL of the order service that holds it." }));

const memberSchema = Type.Object(
  {
    url: Type.Optional(Type.String({ description: "Where other order services reach it; absent if it does not say." })),
    status: Type.String({ description: "As its /health/ready says; unreachable if it does not answer." }),
    reason: Type.Optional(Type.String({ description: "Why it is not ready, or does not answer." })),
    partitions: Type.Array(Type.Integer({ minimum: 0 }), { description: "Those that it holds." }),
  },
  { title: "FleetMember" },
);

const url = "http://10.0.0.5:8001";

/** What the order services hold, all of them; and what one of them holds, asked by another. */
export const partitionsHeld = (options: PartitionsOptions): Endpoint[] => [
  endpoint({
    method: "GET",
    path: "/partitions",
    documentation: {
      id: "partitions",
      tag: "Operating",
      summary: "The partitions of the topic, with offset, digest and who holds each",
      description: "Status and what is said beside it are of the order service that was asked; members has the others'.",
      answers: {
        200: {
          description: "The partitions. Those of a member that does not answer are only in members.",
          schema: Type.Object(
            {
              topicName: Type.String(),
              partitionCount: Type.Integer({ minimum: 0, description: "Of the topic; 0 until it is known." }),
              ...readinessProperties,
              partitions: Type.Array(Type.Object({ ...partitionProperties, owner }, { title: "OwnedPartition" })),
              members: Type.Array(memberSchema, { description: "The order services that share the topic, this one first." }),
            },
            { title: "Partitions" },
          ),
          example: {
            log: "Kafka at redpanda-0:9092",
            topicName: "orders.events",
            partitionCount: 12,
            status: "ready",
            partitions: [{ ...partitionExample, owner: url }],
            members: [{ url, status: "ready", partitions: [3] }],
          },
          headers: ["Cache-Control"],
        },
      },
    },
    handle: async ({ span }) => {
      const { log_name, orders_topic } = options;
      return jsonAnswer(JSON.stringify({ log: log_name, topicName: orders_topic, ...(await fleetStanding(options, span)) }));
    },
  }),
  hopEndpoint(options.fleet, {
    method: "GET",
    path: STANDING_PATH,
    parameters: [],
    handle: () => jsonAnswer(JSON.stringify(ownStanding(options))),
  }),
];
