import { Type } from "@sinclair/typebox";
import { type Endpoint, endpoint } from "../../../http/endpoint/endpoint.ts";
import { jsonAnswer } from "../../../http/endpoint/json-answer.ts";
import { AppError } from "../../../errors.ts";
import { hopEndpoint } from "../../../fleet/hop-endpoint.ts";
import { answeredByOwner, PASSED_ON, type PassingOnOptions } from "../hops/passed-on.ts";
import { heldPartition, partitionParameter } from "./held-partition.ts";
import { OperatorGuard, type OperatorGuardOptions, TAKES_NONE } from "./operator-guard.ts";

export interface RebuildOptions extends OperatorGuardOptions, PassingOnOptions {
  readonly rebuild: (partition: number) => void;
}

const PATH = "/partitions/:partition/rebuild";

/** What an operator asks for; and the same, asked by another member of the fleet for an operator that it knows. */
export const rebuildPartition = (options: RebuildOptions): Endpoint[] => {
  const { partitions, fleet, rebuild } = options;
  const guard = new OperatorGuard(options);
  const rebuildHere = (asked: number): Response => {
    const { partition } = heldPartition(partitions, asked);
    rebuild(partition);
    return jsonAnswer(JSON.stringify({ message: `partition ${partition} is rebuilt from the log`, partition }), 202);
  };
  const ofOperators = endpoint({
    method: "POST",
    path: PATH,
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
      errors: [
        "OPERATOR_TOKEN_NEEDED",
        "OPERATOR_ONLY",
        "NOT_FOUND",
        "PARTITION_ELSEWHERE",
        "OPERATOR_TOKEN_GUESSED",
        "OWNER_UNREACHABLE",
      ],
    },
    parameters: [partitionParameter],
    operatorOnly: (request) => guard.require(request),
    handle: ({ span }, { partition }) => {
      const request = { method: "POST", path: PATH.replace(":partition", String(partition)), span } as const;
      return answeredByOwner(partition, request, () => rebuildHere(partition), options);
    },
  });
  const ofPeers = hopEndpoint(fleet, {
    method: "POST",
    path: PASSED_ON + PATH,
    parameters: [partitionParameter],
    // The operator's token stays where it was given: the peer has looked at it.
    handle: (_, { partition }) => {
      if (options.operator_token === undefined) throw new AppError("OPERATOR_ONLY", TAKES_NONE);
      return rebuildHere(partition);
    },
  });
  return [ofOperators, ofPeers];
};
