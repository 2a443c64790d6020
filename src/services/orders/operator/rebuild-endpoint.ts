import { Type } from "@sinclair/typebox";
import { type Endpoint, endpoint } from "../../../http/endpoint/endpoint.ts";
import { jsonAnswer } from "../../../http/endpoint/json-answer.ts";
import type { HeldPartitions } from "../../../runtime/held-partitions.ts";
import { heldPartition, partitionParameter } from "./held-partition.ts";
import { OperatorGuard, type OperatorGuardOptions } from "./operator-guard.ts";

export interface RebuildOptions extends OperatorGuardOptions {
  readonly partitions: HeldPartitions;
  readonly rebuild: (partition: number) => void;
}

export const rebuildPartition = (options: RebuildOptions): Endpoint => {
  const { partitions, rebuild } = options;
  const guard = new OperatorGuard(options);
  return endpoint({
    method: "POST",
    path: "/partitions/:partition/rebuild",
    documentation: {
      id: "rebuildPartition",
      tag: "Operating",
      summary: "Set a partition's store aside and rebuild it from the log",
      description: "Queries that need it are answered 503 meanwhile.",
      answers: {
        202: {
          description: "The rebuild has begun.",
          schema: Type.Object({ message: Type.String(), partition: Type.Integer({ minimum: 0 }) }, { title: "Rebuilding" }),
          example: { message: "partition 3 is rebuilt from the log", partition: 3 },
          headers: ["Cache-Control"],
        },
      },
      errors: ["OPERATOR_TOKEN_NEEDED", "OPERATOR_ONLY", "NOT_FOUND", "PARTITION_ELSEWHERE", "OPERATOR_TOKEN_GUESSED"],
    },
    parameters: [partitionParameter],
    operatorOnly: (request) => guard.require(request),
    handle: (_, parameters) => {
      const { partition } = heldPartition(partitions, parameters.partition);
      rebuild(partition);
      return jsonAnswer(JSON.stringify({ message: `partition ${partition} is rebuilt from the log`, partition }), 202);
    },
  });
};
