import { describe, expect, test } from "bun:test";
import { AnswerBuffers, AnswerMemory, SHARED_BYTES_MIN } from "../../../src/log/kafka/connection/answer-buffers.ts";
import { receiveInto } from "../../../src/log/kafka/connection/answer-receiver.ts";
import { seededRandom } from "../../simulation/scheduler.ts";

const ANSWER_BYTES_MAX = 64 * 1024 * 1024;
const LARGE = 300_000;

/** An answer as it comes in: its length, and bytes that tell it from others. */
function frame(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(4 + length);
  bytes.writeInt32BE(length, 0);
  for (let i = 0; i < length; i++) bytes[4 + i] = (seed * 31 + i * 7) & 0xff;
  return bytes;
}

/** A connection that puts answers together as kafkajs does, and what it made of them. */
function setUp() {
  const answers: Buffer[] = [];
  const connection = {
    chunks: [] as Buffer[],
    bytesBuffered: 0,
    authHandlers: undefined as unknown,
    socket: {} as unknown,
    joined: 0,
    processData(data: Buffer) {
      if (this.authHandlers !== undefined) {
        answers.push(Buffer.from(data));
        return;
      }
      this.chunks.push(data);
      if (this.chunks.length > 1) this.joined++;
      let rest = this.chunks.length > 1 ? Buffer.concat(this.chunks) : (this.chunks[0] as Buffer);
      while (rest.length >= 4 && rest.length >= 4 + rest.readInt32BE(0)) {
        const end = 4 + rest.readInt32BE(0);
        answers.push(rest.subarray(0, end));
        rest = rest.subarray(end);
      }
      this.chunks = [rest];
      this.bytesBuffered = rest.length;
    },
  };
  const buffers = new AnswerBuffers();
  receiveInto(connection, buffers, ANSWER_BYTES_MAX);
  return { connection, buffers, answers };
}

describe("answers come in as they were sent", () => {
  test("however they are cut into pieces, large and small", () => {
    const random = seededRandom(7);
    for (let turn = 0; turn < 40; turn++) {
      const { connection, answers } = setUp();
      const lengths = Array.from({ length: 6 }, () => [0, 5, 900, SHARED_BYTES_MIN, LARGE, 3_000_000][Math.floor(random() * 6)]!);
      const sent = lengths.map((length, n) => frame(length, n));
      const all = Buffer.concat(sent);
      for (let at = 0; at < all.length;) {
        const piece = 1 + Math.floor(random() * [3, 1_000, 70_000, 600_000][Math.floor(random() * 4)]!);
        // A socket's pieces are memory of their own.
        connection.processData(Buffer.from(all.subarray(at, at + piece)));
        at += piece;
      }
      expect(answers.length).toBe(sent.length);
      for (const [n, answer] of answers.entries()) expect(answer.equals(sent[n]!)).toBe(true);
    }
  });

  test("a large one is put together in one buffer, without kafkajs joining pieces", () => {
    const { connection, buffers, answers } = setUp();
    connection.chunks = [Buffer.alloc(0)];
    const sent = frame(LARGE, 1);
    for (let at = 0; at < sent.length; at += 65_536) connection.processData(sent.subarray(at, at + 65_536));
    expect(connection.joined).toBe(0);
    const [answer] = answers as [Buffer];
    expect(answer.equals(sent)).toBe(true);
    buffers.giveBack(answer.subarray(100));
    expect(buffers.take(10).buffer).toBe(answer.buffer);
  });

  test("what was left of one is forgotten with its socket", () => {
    const { connection, answers } = setUp();
    connection.processData(frame(LARGE, 1).subarray(0, 1_000));
    connection.socket = {};
    const sent = frame(LARGE, 2);
    connection.processData(sent.subarray(0, 200_000));
    connection.processData(sent.subarray(200_000));
    expect(answers.map((answer) => answer.equals(sent))).toEqual([true]);
  });

  test("what a login is told passes as it is, and so does a length that no answer has", () => {
    const { connection, answers } = setUp();
    connection.authHandlers = {};
    const told = Buffer.from("7fffffff00", "hex");
    connection.processData(told);
    expect(answers).toEqual([told]);
    connection.authHandlers = undefined;
    connection.processData(told);
    expect(connection.bytesBuffered).toBe(told.length);
  });
});

describe("an answer's memory", () => {
  test("is used again once everybody has let go of it, and not before", () => {
    const buffers = new AnswerBuffers();
    const payload = buffers.take(LARGE);
    const memory = new AnswerMemory(payload, buffers);
    const first = memory.held();
    const second = memory.held();
    memory.release();
    first.release();
    expect(buffers.take(LARGE).buffer).not.toBe(payload.buffer);
    second.release();
    expect(buffers.take(LARGE).buffer).toBe(payload.buffer);
  });

  test("is not kept if there is enough, or if it is of another size", () => {
    const buffers = new AnswerBuffers();
    const taken = Array.from({ length: 5 }, () => buffers.take(LARGE));
    for (const each of taken) buffers.giveBack(each);
    const again = new Set(Array.from({ length: 5 }, () => buffers.take(LARGE).buffer));
    expect(taken.filter(({ buffer }) => again.has(buffer)).length).toBe(3);
    const huge = buffers.take(20_000_000);
    buffers.giveBack(huge);
    buffers.giveBack(Buffer.alloc(10));
    expect(buffers.take(LARGE).buffer).not.toBe(huge.buffer);
  });
});
