import { BrokerCalls } from "../cluster/broker-calls.ts";

const answer_ms_max = 1_000;

/**
 * Whether a broker answers at one of these addresses and knows of a live broker. Each address takes about a second at
 * most; other people's topics do not matter.
 */
export async function brokerAnswers(brokers: string): Promise<boolean> {
  const calls = new BrokerCalls(new Map(brokers.split(",").map((address, i) => [i, address])), () => true, answer_ms_max);
  try {
    return (await calls.metadata([])).nodes.length > 0;
  } catch {
    return false;
  } finally {
    await calls.close();
  }
}
