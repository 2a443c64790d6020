import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { repository } from "../../support/programs/repository.ts";
import type { Manifest } from "./manifests.ts";

/**
 * What is wrong with manifests by Kubernetes' own API, in two ways that both come from its OpenAPI document by
 * `kubernetes-models`: by its validators, which know patterns and formats but let unknown fields pass as the API server
 * does, and by its types, to which an unknown field is an error.
 */
export async function schemaComplaints(manifests: readonly Manifest[]): Promise<string[]> {
  const complaints = await Promise.all(manifests.map(validatorComplaints));
  return [...complaints.flat(), ...typeComplaints(manifests)];
}

const nameOf = ({ kind, metadata }: Manifest): string => `${kind} ${metadata.name}`;
const moduleOf = ({ apiVersion, kind }: Manifest): string => `kubernetes-models/${apiVersion}/${kind}`;

async function validatorComplaints(manifest: Manifest): Promise<string[]> {
  try {
    const models = (await import(moduleOf(manifest))) as Record<string, new (data: Manifest) => { validate(): void }>;
    new models[manifest.kind]!(manifest).validate();
    return [];
  } catch (e) {
    return [`${nameOf(manifest)}: ${e instanceof Error ? e.message : String(e)}`];
  }
}

/** Writes a program that declares each manifest to be of its type, and has the compiler look at it. */
function typeComplaints(manifests: readonly Manifest[]): string[] {
  // The compiler finds the packages from where the file is.
  const directory = mkdtempSync(join(repository, "node_modules/.manifests-"));
  try {
    const lines = manifests.flatMap((manifest, n) => [
      `import type { I${manifest.kind} as T${n} } from "${moduleOf(manifest)}";`,
      // One value a line, so that the line of an error tells the field.
      `export const m${n}: T${n} = ${JSON.stringify(manifest, null, 1)};`,
    ]);
    const text = lines.join("\n");
    const file = join(directory, "manifests.ts");
    writeFileSync(file, text);
    const options =
      "--noEmit --strict --skipLibCheck --ignoreConfig --module preserve --moduleResolution bundler --target esnext";
    const run = Bun.spawnSync([join(repository, "node_modules/.bin/tsc"), ...options.split(" "), "--types", "", file]);
    if (run.exitCode === 0) return [];
    const said = String(run.stdout) + String(run.stderr);
    const found = [...said.matchAll(/manifests\.ts\((\d+),\d+\): error \w+: (.*)/g)];
    if (found.length === 0) return [`The compiler failed: ${said}`];
    return found.map(([, line, error]) => `${ownerOf(text, Number(line), manifests)}: ${error}`);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function ownerOf(text: string, line: number, manifests: readonly Manifest[]): string {
  const before = text.split("\n").slice(0, line).join("\n");
  const last = [...before.matchAll(/^export const m(\d+)/gm)].at(-1)?.[1];
  return last === undefined ? before : nameOf(manifests[Number(last)]!);
}
