import { createServer, type Server } from "node:net";

/**
 * Free loopback ports below the system's ephemeral range (from 32768 on Linux). A port from that range could be handed
 * to an outgoing connection while a restarted server is away, and a client that keeps retrying such a port ends up
 * connecting to itself.
 */
export async function freePorts(count: number): Promise<number[]> {
  const held: Server[] = [];
  try {
    for (let attempt = 0; held.length < count && attempt < attempts_max; attempt++) {
      const server = await tryListen(port_min + Math.floor(Math.random() * (port_max - port_min)));
      if (server) held.push(server);
    }
    if (held.length < count) throw new Error(`No ${count} free ports between ${port_min} and ${port_max} on 127.0.0.1.`);
    return held.map((server) => (server.address() as { port: number }).port);
  } finally {
    await Promise.all(held.map((server) => new Promise((resolve) => server.close(resolve))));
  }
}

export async function freePort(): Promise<number> {
  const [port] = await freePorts(1);
  return port!;
}

const port_min = 20_000;
const port_max = 32_000;
const attempts_max = 200;

function tryListen(port: number): Promise<Server | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(undefined));
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () => resolve(server));
  });
}
