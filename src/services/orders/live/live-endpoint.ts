import { Type } from "@sinclair/typebox";
import { type Endpoint, endpoint } from "../../../http/endpoint/endpoint.ts";
import { STREAM_HEADERS } from "../../../http/headers.ts";
import type { Live } from "./live.ts";

export const liveFigures = (live: Live): Endpoint =>
  endpoint({
    method: "GET",
    path: "/live",
    documentation: {
      id: "liveFigures",
      tag: "Operating",
      summary: "What the page shows, as server-sent events",
      description:
        "about, history and figures at once, then figures each second, until the client leaves. They are those of all order services that share the topic; isWhole is false while one of them does not answer, which members says.",
      answers: {
        200: {
          description: "It does not end.",
          contentType: "text/event-stream",
          schema: Type.String(),
          headers: ["Cache-Control", "X-Accel-Buffering"],
        },
      },
    },
    handle: ({ client }) =>
      new Response(live.connect(client), { headers: { "content-type": "text/event-stream", ...STREAM_HEADERS } }),
  });
