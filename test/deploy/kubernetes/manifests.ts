import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { repository } from "../../support/programs/repository.ts";

/** One object of Kubernetes, as far as the checks look into it. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: Labels };
  readonly spec?: Json;
  readonly data?: Readonly<Record<string, string>>;
}

export type Labels = Readonly<Record<string, string>>;
export type Json = { readonly [name: string]: unknown };

const k8s = join(repository, "deploy/k8s");
/** What can be built, by folder. A component is built as part of an overlay. */
export const BUILT = ["base", "example"];

/** The command that builds a kustomization; undefined where neither program is on PATH. */
export const kustomize: readonly string[] | undefined =
  Bun.which("kustomize") !== null ? ["kustomize", "build"] : Bun.which("kubectl") !== null ? ["kubectl", "kustomize"] : undefined;

export const WITHOUT_KUSTOMIZE =
  "neither kustomize nor kubectl is on PATH (go install sigs.k8s.io/kustomize/kustomize/v5@v5.7.1): nothing has built the manifests.";

/** Builds a folder of deploy/k8s by the real Kustomize. Throws what that says. */
export function build(folder: string): Manifest[] {
  if (!kustomize) throw new Error(WITHOUT_KUSTOMIZE);
  const run = Bun.spawnSync([...kustomize, join(k8s, folder)]);
  if (run.exitCode !== 0) throw new Error(`${kustomize.join(" ")} deploy/k8s/${folder} failed:\n${String(run.stderr)}`);
  return parse(String(run.stdout));
}

const parse = (yaml: string): Manifest[] =>
  yaml
    .split(/^---$/m)
    .map((document) => Bun.YAML.parse(document) as Manifest | null)
    .filter((document) => document !== null);

/** Files beside a kustomization that it does not list, and so are applied to nothing. */
export function unlistedFiles(): string[] {
  return readdirSync(k8s, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".yaml") && !path.endsWith("kustomization.yaml"))
    .filter((path) => {
      const [folder, file] = path.split("/") as [string, string];
      const { resources } = Bun.YAML.parse(readFileSync(join(k8s, folder, "kustomization.yaml"), "utf8")) as {
        resources?: string[];
      };
      return !(resources ?? []).includes(file);
    });
}

/** A value deep in an object; undefined if the way to it is not there. */
export function at(from: unknown, ...path: readonly (string | number)[]): unknown {
  return path.reduce<unknown>((value, step) => (value as Record<string | number, unknown> | undefined | null)?.[step], from);
}

export const listAt = (from: unknown, ...path: readonly (string | number)[]): readonly Json[] =>
  (at(from, ...path) as readonly Json[] | undefined) ?? [];
