import { Type } from "@sinclair/typebox";
import { type Endpoint, endpoint } from "../../../http/endpoint/endpoint.ts";
import { jsonAnswer } from "../../../http/endpoint/json-answer.ts";
import { optionalQueryParameter } from "../../../http/endpoint/parameter.ts";
import type { LogScans } from "../query/log-scan.ts";
import { after, limitParameter, nextSchema, timeSchema } from "../query/pages.ts";
import { deadLetterPage, parseDeadLetterCursor } from "./dead-letter-listing.ts";

export interface DeadLettersOptions {
  readonly scans: LogScans;
  readonly orders_topic: string;
  readonly dead_letter_topic: string;
}

const LETTERS_DEFAULT = 20;
const LETTERS_MAX = 100;

const text = (description: string) => Type.Optional(Type.String({ description }));
const bytesSchema = Type.Union(
  [
    Type.Object({
      bytes: Type.Integer({ description: "How many the record has, also where its letter was cut to fit." }),
      isCut: Type.Boolean({ description: "Fewer are shown." }),
      text: text("Where it is UTF-8."),
      base64: text("Where it is not."),
    }),
    Type.Null(),
  ],
  { description: "What stands there, or its beginning." },
);

const letterSchema = Type.Object(
  {
    partition: Type.Integer({ minimum: 0 }),
    offset: Type.Integer({ minimum: 0, description: "Where the letter stands." }),
    time: timeSchema,
    reason: Type.String(),
    detail: Type.String(),
    origin: Type.Object({
      topic: Type.String(),
      partition: Type.Union([Type.Integer(), Type.Null()]),
      offset: Type.Union([Type.Integer(), Type.Null()]),
    }),
    key: bytesSchema,
    value: bytesSchema,
    redrives: Type.Integer({ minimum: 0 }),
    redrive: Type.Union([Type.String(), Type.Null()], {
      description:
        "The command that takes it back; null where none does. It redrives nothing if the letter was redriven or parked before, which the list does not tell.",
    }),
    noRedrive: Type.Union([Type.String(), Type.Null()], {
      description: "Why none does: it was cut, it stands for a batch that cannot be decoded, or it is of another topic.",
    }),
  },
  { title: "DeadLetter" },
);

const reasonParameter = optionalQueryParameter("reason", {
  description: "Only these.",
  schema: Type.String({
    pattern: "^[a-z_]{1,64}$",
    must: "be a reason as x-dead-letter-reason gives it, such as not_json",
  }),
  example: "not_json",
});

/** Lists the records that are not events. They are read from the dead-letter topic on request, a page at a time. */
export const deadLetters = ({ scans, orders_topic, dead_letter_topic }: DeadLettersOptions): Endpoint =>
  endpoint({
    method: "GET",
    path: "/dead-letters",
    documentation: {
      id: "deadLetters",
      tag: "Operating",
      summary: "Records that were no events, the newest first",
      answers: {
        200: {
          description: "The letters. One stays in the list after it was redriven.",
          schema: Type.Object(
            {
              topicName: Type.String(),
              letters: Type.Array(letterSchema),
              unavailable: Type.Array(Type.Object({ partition: Type.Integer({ minimum: 0 }), reason: Type.String() }), {
                description: "Partitions of the topic that the log does not give now; their letters are in no page.",
              }),
              next: nextSchema,
            },
            { title: "DeadLetters" },
          ),
          headers: ["Cache-Control"],
        },
      },
      errors: ["INVALID_FIELD", "LOG_UNAVAILABLE", "CATCHING_UP", "PARTITION_HALTED", "PARTITION_BLOCKED"],
    },
    parameters: [
      optionalQueryParameter("after", { ...after, decode: parseDeadLetterCursor }),
      limitParameter(LETTERS_DEFAULT, LETTERS_MAX),
      reasonParameter,
    ],
    handle: async ({ client }, parameters) => {
      const { limit, after: cursor, reason } = parameters;
      const page = await deadLetterPage(scans.of(client), orders_topic, dead_letter_topic, cursor, reason, limit);
      const { letters, unavailable, next = null } = page;
      return jsonAnswer(JSON.stringify({ topicName: dead_letter_topic, letters, unavailable, next }));
    },
  });
