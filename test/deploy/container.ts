import { chownSync, existsSync, mkdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { runBounded, spawnTied, type TiedProcess } from "../support/programs/tied-process.ts";
import type { Image } from "./image.ts";

/**
 * An image's command, run as a container runs it but with only Linux' namespaces (mounts, processes, network). It runs
 * as process 1 with the image's root mounted read-only, its volume, its user without any rights, only its environment,
 * and a loopback interface of its own. Only root may make such namespaces.
 */
export interface Container extends AsyncDisposable {
  readonly process: TiedProcess;
  /** The process id of the command itself, as this machine counts; undefined before the command runs. */
  pid(): number | undefined;
  /**
   * Runs another program of the image in the container, as its health check is run. The result is not ok while the
   * container is not there yet.
   */
  exec(command: readonly string[]): Promise<{ readonly ok: boolean; readonly output: string }>;
}

const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const exec_ms_max = 10_000;

const script = `
  set -e
  root=$1 volume=$2 data=$3 workdir=$4 uid=$5 gid=$6 pid_file=$7; shift 7
  # This /proc is still the machine's, and so is the number in it.
  read -r pid rest </proc/self/stat
  echo "$pid" >"$pid_file"
  ip link set lo up
  mount --bind "$root" "$root"
  mount --bind "$volume" "$root$data"
  mount --rbind /dev "$root/dev"
  mount -t proc proc "$root/proc"
  mount -o remount,bind,ro "$root"
  exec unshare --root="$root" --wd="$workdir" --setgid="$gid" --setuid="$uid" "$@"
`;
const namespaces = ["setpriv", "--no-new-privs", "unshare", "--mount", "--pid", "--net", "--fork", "--kill-child"];

/** The reason why containers cannot be made here; undefined where they can. */
export async function noContainers(): Promise<string | undefined> {
  if (process.platform !== "linux") return "containers are made of Linux' namespaces, and this is not Linux.";
  const run = await runBounded([...namespaces, "sh", "-c", "ip link set lo up && mount -t tmpfs tmpfs /mnt"], exec_ms_max);
  return run.ok ? undefined : `this user may not make namespaces: ${run.output.trim()}`;
}

/** A new volume: empty, with the owner that the image gives it. */
export function newVolume(image: Image, path: string): string {
  const { uid, gid } = statSync(join(image.root, image.volumes[0]!));
  mkdirSync(path);
  chownSync(path, uid, gid);
  return path;
}

/** Starts the image's command with these arguments in place of its CMD, as `docker run IMAGE args…` does. */
export function startContainer(
  image: Image,
  volume: string,
  args: readonly string[] = image.cmd,
  settings: Readonly<Record<string, string>> = {},
  entrypoint: readonly string[] = image.entrypoint,
): Container {
  const env = { PATH, HOME: "/", ...image.env, ...settings };
  const { uid, gid } = image.user;
  const pidFile = `${volume}.pid`;
  rmSync(pidFile, { force: true });
  const place = [image.root, volume, image.volumes[0]!, image.workdir, String(uid), String(gid), pidFile];
  const started = spawnTied([...namespaces, "sh", "-c", script, "sh", ...place, ...entrypoint, ...args], {
    env,
    // The kernel forgets --kill-child when the user changes.
    onOrphaned: 'kill -9 "$(cat "$1")"',
    onOrphanedArgs: [pidFile],
  });
  const pid = () => (existsSync(pidFile) ? Number(readFileSync(pidFile, "utf8")) : undefined);
  return {
    process: started,
    pid,
    exec: async (command) => {
      const user = [`--setuid=${uid}`, `--setgid=${gid}`];
      const inside = ["nsenter", `--target=${pid() ?? 0}`, "--mount", "--pid", "--net", "--root", "--wd", ...user];
      return runBounded([...inside, ...command], exec_ms_max, env);
    },
    [Symbol.asyncDispose]: async () => {
      const first = pid();
      if (first === undefined) started.kill("SIGKILL");
      else if (!started.exit()) Bun.spawnSync(["kill", "-9", String(first)]);
      await started.exited;
    },
  };
}
