import { Type } from "@sinclair/typebox";
import type { Fleet } from "../../../fleet/fleet.ts";
import type { Endpoint } from "../../../http/endpoint/endpoint.ts";
import { jsonAnswer } from "../../../http/endpoint/json-answer.ts";
import { optionalQueryParameter } from "../../../http/endpoint/parameter.ts";
import { hopEndpoint } from "../../../fleet/hop-endpoint.ts";
import { FIGURES_PATH, type ToldFigures } from "./fleet-figures.ts";
import type { Live } from "./live.ts";

/** What this order service holds and does, for another one's page. */
export const figuresHop = (fleet: Fleet, live: Live): Endpoint =>
  hopEndpoint(fleet, {
    method: "GET",
    path: FIGURES_PATH,
    parameters: [
      optionalQueryParameter("history", {
        description: "Whether the last 15 minutes are asked for, too.",
        schema: Type.String({ pattern: "^true$", must: "be true" }),
        example: "true",
      }),
    ],
    handle: (_, { history }) => jsonAnswer(JSON.stringify(live.own(history !== undefined) satisfies ToldFigures)),
  });
