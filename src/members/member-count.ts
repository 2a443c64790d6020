import { AppError } from "../errors.ts";
import { MEMBERS_MAX } from "../config/settings.ts";
import { SERVICES } from "./messages.ts";

const PORT_MAX = 65_535;

/**
 * How many members MEMBERS asks for. `cores` is how many the program may use, by its affinity and its control group.
 * Throws CONFIG_INVALID for more than one where the system does not share a port among processes: macOS lets several
 * listen, and gives all connections to the last.
 */
export function memberCount(asked: number | "auto", cores: number, platform: string): number {
  if (platform === "linux") return asked === "auto" ? Math.max(1, Math.min(cores, MEMBERS_MAX)) : asked;
  if (asked === "auto" || asked === 1) return 1;
  throw new AppError(
    "CONFIG_INVALID",
    `MEMBERS is ${asked}, but only Linux shares a port among processes. Leave it at 1 here, or give each process its own ports and put a proxy before them.`,
    { setting: "MEMBERS" },
  );
}

/** Throws CONFIG_INVALID if the members' own ports do not exist, or one of them is a shared port. */
export function checkMemberPorts(port_min: number, members: number, shared: Readonly<Record<string, number>>): void {
  if (port_min === 0) return;
  const port_max = port_min + SERVICES.length * members - 1;
  const range = `the ${members} members' own ports are ${port_min} to ${port_max}`;
  const taken = Object.entries(shared).find(([, port]) => port >= port_min && port <= port_max);
  const why =
    port_max > PORT_MAX ? `and a port is at most ${PORT_MAX}.` : taken && `and ${taken[0]}, which all share, is ${taken[1]}.`;
  if (why === undefined) return;
  throw new AppError("CONFIG_INVALID", `MEMBER_PORT_MIN is ${port_min}: ${range}, ${why} Set it to another port.`, {
    setting: "MEMBER_PORT_MIN",
  });
}
