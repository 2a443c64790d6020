import { Type } from "@sinclair/typebox";
import { partitionExample, readinessProperties } from "../../../api/health-endpoints.ts";
import { type Endpoint, endpoint } from "../../../http/endpoint/endpoint.ts";
import { jsonAnswer } from "../../../http/endpoint/json-answer.ts";
import { readiness } from "../../../http/health.ts";
import type { HeldPartitions } from "../../../runtime/held-partitions.ts";

export interface PartitionsOptions {
  readonly partitions: HeldPartitions;
  readonly log_name: string;
  readonly orders_topic: string;
}

export const partitionsHeld = ({ partitions, log_name, orders_topic }: PartitionsOptions): Endpoint =>
  endpoint({
    method: "GET",
    path: "/partitions",
    documentation: {
      id: "partitions",
      tag: "Operating",
      summary: "The partitions held here, with offset and digest",
      answers: {
        200: {
          description: "The partitions.",
          schema: Type.Object(
            {
              topicName: Type.String(),
              partitionCount: Type.Integer({ minimum: 0, description: "Of the topic; 0 until it is known." }),
              ...readinessProperties,
            },
            { title: "Partitions" },
          ),
          example: {
            log: "Kafka at redpanda-0:9092",
            topicName: "orders.events",
            partitionCount: 12,
            status: "ready",
            partitions: [partitionExample],
          },
          headers: ["Cache-Control"],
        },
      },
    },
    handle: () => {
      const { partitionCount } = partitions;
      return jsonAnswer(JSON.stringify({ log: log_name, topicName: orders_topic, partitionCount, ...readiness(partitions) }));
    },
  });
