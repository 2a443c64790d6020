import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** The processes that a supervisor has started, by their members' numbers. It reads Linux' /proc. */
export function memberPids(supervisor: number): Map<number, number> {
  const pids = readFileSync(`/proc/${supervisor}/task/${supervisor}/children`, "utf8").trim().split(" ");
  const members = pids.flatMap((pid) => {
    const member = /--member=(\d+)\0/.exec(read(`/proc/${pid}/cmdline`))?.[1];
    return member === undefined ? [] : [[Number(member), Number(pid)] as const];
  });
  return new Map(members);
}

export const isRunning = (pid: number): boolean => !["", "Z"].includes(/\) (\w)/.exec(read(`/proc/${pid}/stat`))?.[1] ?? "");

/** The ports of the clients whose IPv4 connections a process has accepted. */
export function clientPorts(pid: number): Set<number> {
  const inodes = new Set(
    readdirSync(`/proc/${pid}/fd`).map((fd) => /^socket:\[(\d+)\]$/.exec(link(`/proc/${pid}/fd/${fd}`))?.[1]),
  );
  const rows = readFileSync(`/proc/${pid}/net/tcp`, "utf8").trim().split("\n").slice(1);
  return new Set(
    rows
      .map((row) => row.trim().split(/\s+/))
      .filter((fields) => inodes.has(fields[9]))
      .map((fields) => Number.parseInt(fields[2]!.split(":")[1]!, 16)),
  );
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function link(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}
