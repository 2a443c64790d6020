const TYPE_A = 1;
const TTL_S = 1;

/**
 * A DNS server on loopback that answers for one name with as many addresses as it has now, as Docker's does for the
 * instances of a service. Any other question is answered with nothing.
 */
export async function startNameServer(name: string) {
  let addresses: readonly string[] = [];
  const socket = await Bun.udpSocket({
    hostname: "127.0.0.1",
    port: 0,
    socket: { data: (from, query, port, address) => void from.send(answer(query, name, addresses), port, address) },
  });
  return {
    port: socket.port,
    /** From now on the name stands for these. */
    set: (now: readonly string[]) => void (addresses = now),
    stop: () => socket.close(),
  };
}

/** RFC 1035, 4.1: the header, the question as it came, and an answer that points to the name in it. */
function answer(query: Buffer, name: string, addresses: readonly string[]): Buffer {
  const HEADER_BYTES = 12;
  const labels: string[] = [];
  let at = HEADER_BYTES;
  for (let length = query[at]!; length > 0; length = query[at]!) {
    labels.push(query.toString("latin1", at + 1, at + 1 + length));
    at += 1 + length;
  }
  const question = query.subarray(HEADER_BYTES, at + 5);
  const isAsked = labels.join(".") === name && query.readUInt16BE(at + 1) === TYPE_A;
  const records = isAsked ? addresses.map(recordOf) : [];
  const header = Buffer.alloc(HEADER_BYTES);
  query.copy(header, 0, 0, 2);
  header.writeUInt16BE(0x8180, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(records.length, 6);
  return Buffer.concat([header, question, ...records]);
}

function recordOf(address: string): Buffer {
  const record = Buffer.alloc(16);
  record.writeUInt16BE(0xc00c, 0);
  record.writeUInt16BE(TYPE_A, 2);
  record.writeUInt16BE(1, 4);
  record.writeUInt32BE(TTL_S, 6);
  record.writeUInt16BE(4, 10);
  for (const [at, part] of address.split(".").entries()) record[12 + at] = Number(part);
  return record;
}
