import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";

/** What a process has used so far. Where there is no /proc, all is NaN. */
export interface ProcessCost {
  /** User and system time of all its threads. */
  readonly cpu_s: number;
  /** The most memory that was resident at any time (VmHWM). */
  readonly peak_mib: number;
}

/** Linux counts a process's time in these ticks (sysconf(_SC_CLK_TCK)). */
const TICKS_PER_S = 100;
const tree_interval_ms = 50;

/** The cost of a running process, without that of its children. */
export function costOf(pid: number): ProcessCost {
  if (!existsSync("/proc/self/stat")) return { cpu_s: Number.NaN, peak_mib: Number.NaN };
  return { cpu_s: cpuOf(pid), peak_mib: memoryOf(pid, "VmHWM") };
}

/** Fields 14 and 15 of proc_pid_stat(5). */
function cpuOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/^.*\) /s, "")
    .split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_S;
}

/** A line of proc_pid_status(5) that is told in kB; NaN where there is none. */
export function memoryOf(pid: number, line: "VmHWM" | "VmRSS" | "RssAnon"): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(new RegExp(`^${line}:\\s+([0-9]+) kB`, "m").exec(status)?.[1]) / 1_024;
}

/**
 * Meters a process and all that it starts, until `end()`: time and memory are sums over the processes. It looks every
 * 50 ms, so what a process does after the last look is missing.
 */
export function meterTree(root: number): { end(): ProcessCost } {
  const costs = new Map<number, ProcessCost>();
  const look = (pid: number): void => {
    try {
      // A shell is the keeper beside a tied program, or only starts what is measured.
      const isShell = readFileSync(`/proc/${pid}/comm`, "utf8").trim() === "sh";
      const { cpu_s, peak_mib } = costOf(pid);
      if (!isShell && !Number.isNaN(peak_mib)) costs.set(pid, { cpu_s, peak_mib });
      for (const thread of readdirSync(`/proc/${pid}/task`)) {
        const children = readFileSync(`/proc/${pid}/task/${thread}/children`, "utf8");
        for (const child of children.split(" ")) if (child !== "") look(Number(child));
      }
    } catch {
      // The process ended between two of these reads; its last cost stands.
    }
  };
  const timer = setInterval(look, tree_interval_ms, root);
  return {
    end: () => {
      clearInterval(timer);
      const all = [...costs.values()];
      if (all.length === 0) return { cpu_s: Number.NaN, peak_mib: Number.NaN };
      return {
        cpu_s: all.reduce((sum, { cpu_s }) => sum + cpu_s, 0),
        peak_mib: all.reduce((sum, { peak_mib }) => sum + peak_mib, 0),
      };
    },
  };
}

/** What the files below a directory take: the bytes in them, and the blocks of the disk. */
export interface DiskUse {
  readonly bytes: number;
  readonly block_bytes: number;
}

export function diskUse(dir: string): DiskUse {
  let bytes = 0;
  let block_bytes = 0;
  for (const path of readdirSync(dir, { recursive: true, encoding: "utf8" })) {
    const stat = statSync(join(dir, path), { throwIfNoEntry: false });
    if (!stat?.isFile()) continue;
    bytes += stat.size;
    block_bytes += stat.blocks * 512;
  }
  return { bytes, block_bytes };
}
