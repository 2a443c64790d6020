import { build, BUILT, kustomize, unlistedFiles, WITHOUT_KUSTOMIZE } from "./manifests.ts";
import { referenceComplaints } from "./reference-complaints.ts";
import { schemaComplaints } from "./schema-complaints.ts";

/** `bun run check:manifests`: builds deploy/k8s and holds it against Kubernetes' API and our settings. */
const isCi = !["", "0", "false"].includes(process.env["CI"] ?? "");
const complaints = unlistedFiles().map((file) => `deploy/k8s/${file} is listed in no kustomization.`);
if (kustomize) {
  for (const folder of BUILT) {
    const manifests = build(folder);
    const found = [...(await schemaComplaints(manifests)), ...referenceComplaints(manifests)];
    complaints.push(...found.map((complaint) => `deploy/k8s/${folder}: ${complaint}`));
    console.log(`deploy/k8s/${folder}: ${manifests.length} manifests.`);
  }
} else if (isCi) complaints.push(`With CI set the manifests must be checked, but ${WITHOUT_KUSTOMIZE}`);
else console.warn(`\n!!! SKIPPED, THIS IS NOT PROVED HERE: the manifests of Kubernetes: ${WITHOUT_KUSTOMIZE}\n`);
for (const complaint of complaints) console.error(complaint);
process.exit(complaints.length === 0 ? 0 : 1);
