import { chownSync, cpSync, existsSync, mkdirSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { DockerfileParser, type ModifiableInstruction } from "dockerfile-ast";

/** An image made from deploy/Dockerfile without an engine. It refuses whatever it cannot do as an engine would. */
export interface Image {
  /** The image's file system, without what its base brings. */
  readonly root: string;
  readonly workdir: string;
  readonly env: Readonly<Record<string, string>>;
  readonly user: { readonly uid: number; readonly gid: number };
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  readonly healthcheck: { readonly command: readonly string[]; readonly flags: ReadonlyMap<string, string> };
  readonly ports: readonly number[];
  readonly volumes: readonly string[];
}

export interface Instruction {
  readonly keyword: string;
  readonly flags: ReadonlyMap<string, string>;
  /** The text after the flags. */
  readonly rest: string;
}

/** The instructions of a Dockerfile in order, without comments. */
export function instructionsOf(dockerfile: string): Instruction[] {
  return DockerfileParser.parse(dockerfile)
    .getInstructions()
    .map((instruction) => ({
      keyword: instruction.getKeyword(),
      flags: new Map(flagsOf(instruction).map((flag) => [flag.getName(), flag.getValue() ?? ""])),
      rest: instruction.getArgumentsContent() ?? "",
    }));
}

const flagsOf = (instruction: object) => ("getFlags" in instruction ? (instruction as ModifiableInstruction).getFlags() : []);

type Stage = { -readonly [Property in keyof Image]: Image[Property] };

/**
 * Builds the last stage of `dockerfile` with the files of `context` under `directory`. RUN looks for its programs in
 * `bin` first.
 */
export function buildImage(dockerfile: string, context: string, directory: string, bin: string): Image {
  const stages = new Map<string, Stage>();
  let stage: Stage | undefined;
  for (const { keyword, flags, rest } of instructionsOf(dockerfile)) {
    if (keyword === "FROM") {
      const [, name = "last"] = rest.split(/\s+AS\s+/);
      stage = newStage(join(directory, name));
      stages.set(name, stage);
      continue;
    }
    if (!stage) throw new Error(`${keyword} stands before FROM.`);
    refuseFlags(keyword, flags);
    switch (keyword) {
      case "WORKDIR":
        stage.workdir = rest;
        mkdirSync(join(stage.root, rest), { recursive: true });
        break;
      case "COPY":
        copy(stage, rest.split(/\s+/), flags, flags.has("from") ? stages.get(flags.get("from")!)! : context);
        break;
      case "RUN":
        run(stage, rest, bin);
        break;
      case "ENV":
        for (const [, name, value] of rest.matchAll(/(\w+)=(\S+)/g)) stage.env = { ...stage.env, [name!]: value! };
        break;
      case "USER": {
        const [uid, gid] = rest.split(":").map(Number);
        stage.user = { uid: uid!, gid: gid! };
        break;
      }
      case "EXPOSE":
        stage.ports = rest.split(/\s+/).map(Number);
        break;
      case "VOLUME":
        stage.volumes = exec(rest);
        break;
      case "HEALTHCHECK":
        stage.healthcheck = { command: exec(rest.replace(/^CMD\s+/, "")), flags };
        break;
      case "ENTRYPOINT":
        stage.entrypoint = exec(rest);
        break;
      case "CMD":
        stage.cmd = exec(rest);
        break;
      default:
        throw new Error(`${keyword} is not known to this test; teach it.`);
    }
  }
  return stage!;
}

const FLAGS: Readonly<Record<string, readonly string[]>> = {
  COPY: ["from", "chown"],
  HEALTHCHECK: ["interval", "timeout", "start-period", "start-interval", "retries"],
};

function refuseFlags(keyword: string, flags: ReadonlyMap<string, string>): void {
  for (const flag of flags.keys()) {
    if (!FLAGS[keyword]?.includes(flag)) throw new Error(`--${flag} of ${keyword} is not known to this test; teach it.`);
  }
}

function newStage(root: string): Stage {
  mkdirSync(root, { recursive: true, mode: 0o755 });
  return {
    root,
    workdir: "/",
    env: {},
    user: { uid: 0, gid: 0 },
    entrypoint: [],
    cmd: [],
    healthcheck: { command: [], flags: new Map() },
    ports: [],
    volumes: [],
  };
}

/** Parses the exec form, which runs a program without a shell. */
function exec(rest: string): string[] {
  if (!rest.startsWith("[")) throw new Error(`${rest} needs a shell; write it as a list.`);
  return JSON.parse(rest) as string[];
}

function copy(stage: Stage, paths: string[], flags: ReadonlyMap<string, string>, from: string | Stage): void {
  const target = paths.pop()!;
  if (paths.length > 1 && !target.endsWith("/")) throw new Error(`COPY of several files: ${target} must end with a slash.`);
  const ignored = typeof from === "string" ? dockerignore(join(from, ".dockerignore")) : () => false;
  const base = typeof from === "string" ? from : from.root;
  const [uid, gid] = flags.get("chown")?.split(":").map(Number) ?? [];
  for (const path of paths) {
    const source = join(base, path);
    const isFile = statSync(source).isFile();
    const inside = target.startsWith("/") ? target : join(stage.workdir, target);
    const to = join(stage.root, inside, isFile && target.endsWith("/") ? basename(path) : "");
    if (ignored(path)) throw new Error(`COPY ${path}: .dockerignore keeps it out.`);
    mkdirSync(dirname(to), { recursive: true });
    cpSync(source, to, { recursive: true, verbatimSymlinks: true, filter: (file) => !ignored(relative(base, file)) });
    // Only root can change the owner, and only root can make a container of the image.
    if (uid !== undefined && process.getuid?.() === 0) chownSync(to, uid, gid!);
  }
}

/** The last pattern that matches a path or a directory above it decides; one with `!` keeps the path. */
function dockerignore(file: string): (path: string) => boolean {
  const patterns = readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => ({ keeps: line.startsWith("!"), glob: new Bun.Glob(line.replace(/^!/, "")) }));
  return (path) => {
    const parts = path.split("/");
    const withParents = parts.map((_, index) => parts.slice(0, index + 1).join("/"));
    const last = patterns.findLast(({ glob }) => withParents.some((one) => glob.match(one)));
    return last !== undefined && !last.keeps;
  };
}

function run(stage: Stage, command: string, bin: string): void {
  if (/(^|\s)\//.test(command)) throw new Error(`RUN ${command} would touch this machine: name no absolute path.`);
  const cwd = join(stage.root, stage.workdir);
  const env = { ...process.env, PATH: `${bin}:${process.env["PATH"]}` };
  const ran = Bun.spawnSync(["sh", "-c", command], { cwd, env });
  if (ran.exitCode !== 0) throw new Error(`RUN ${command} failed. It said:\n${String(ran.stdout)}${String(ran.stderr)}`);
}

/**
 * Puts into the image's root what it uses of its base, Debian with Bun: this Bun as /usr/local/bin/bun, and the shared
 * libraries that it and the image's native modules are linked to. There is no shell.
 */
export function addBase(image: Image): void {
  const bun = join(image.root, "usr/local/bin/bun");
  for (const directory of ["usr/local/bin", "proc", "dev", "tmp"]) mkdirSync(join(image.root, directory), { recursive: true });
  cpSync(process.execPath, bun, { dereference: true });
  const modules = [...new Bun.Glob("**/*.node").scanSync({ cwd: image.root, absolute: true, dot: true })];
  for (const program of [bun, ...modules]) {
    const said = String(Bun.spawnSync(["ldd", program]).stdout);
    for (const [, library] of said.matchAll(/(?:=>\s+|^\s+)(\/\S+)\s+\(/gm)) {
      // These libraries are part of libc6 and libgcc-s1, which every Debian has.
      if (!/^(ld-.*|lib(c|m|dl|rt|pthread|gcc_s))\.so[.\d]*$/.test(basename(library!))) {
        throw new Error(`${relative(image.root, program)} is linked to ${library}, which the image's base may not have.`);
      }
      const copied = join(image.root, library!);
      if (!existsSync(copied)) cpSync(library!, copied, { dereference: true, recursive: true });
    }
  }
}
