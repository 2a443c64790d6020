import type { Message, Producer } from "kafkajs";
import { Kafka, logLevel, Partitioners } from "kafkajs";

const connection_ms_max = 2_000;
const request_ms_max = 5_000;

/**
 * Another program that writes to the topic, with kafkajs and straight to the broker. A message without a partition
 * goes where its key belongs.
 */
export class ForeignProducer {
  readonly #kafka: Kafka;
  #connected: Promise<Producer> | undefined;

  constructor(
    brokers: string,
    private readonly topic: string,
  ) {
    this.#kafka = new Kafka({
      brokers: brokers.split(","),
      clientId: "soak-foreign",
      logLevel: logLevel.NOTHING,
      connectionTimeout: connection_ms_max,
      requestTimeout: request_ms_max,
      retry: { retries: 2 },
    });
  }

  /** Resolves with true if the broker took all of them, with false if that is unknown. */
  async send(messages: Message[]): Promise<boolean> {
    const connecting = (this.#connected ??= this.#connect());
    try {
      await (await connecting).send({ topic: this.topic, messages, acks: -1 });
      return true;
    } catch {
      // A producer that failed is not trusted any more. The first to notice disconnects it.
      if (this.#connected === connecting) {
        this.#connected = undefined;
        void connecting.then((producer) => producer.disconnect()).catch(() => undefined);
      }
      return false;
    }
  }

  async close(): Promise<void> {
    await this.#connected?.then((producer) => producer.disconnect()).catch(() => undefined);
  }

  async #connect(): Promise<Producer> {
    const producer = this.#kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
    await producer.connect();
    return producer;
  }
}
