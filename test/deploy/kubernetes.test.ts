import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { repository } from "../support/programs/repository.ts";
import { bunSettings } from "../support/programs/processes.ts";
import {
  at,
  build,
  BUILT,
  type Json,
  kustomize,
  listAt,
  type Manifest,
  unlistedFiles,
  WITHOUT_KUSTOMIZE,
} from "./kubernetes/manifests.ts";
import { referenceComplaints } from "./kubernetes/reference-complaints.ts";
import { schemaComplaints } from "./kubernetes/schema-complaints.ts";

const isCi = !["", "0", "false"].includes(process.env["CI"] ?? "");
if (!kustomize && !isCi)
  console.warn(`\n!!! SKIPPED, THIS IS NOT PROVED HERE: the manifests of Kubernetes: ${WITHOUT_KUSTOMIZE}\n`);
const isPossible = kustomize !== undefined || isCi;

const complaintsOf = async (manifests: readonly Manifest[]) => [
  ...(await schemaComplaints(manifests)),
  ...referenceComplaints(manifests),
];
const named = (manifests: readonly Manifest[], kind: string, name: string) =>
  manifests.find((one) => one.kind === kind && one.metadata.name.startsWith(name))!;

type Mutable = Record<string | number, unknown>;
/** Sets a value deep in an object; undefined removes it. */
function set(from: unknown, path: readonly (string | number)[], value: unknown): void {
  const owner = at(from, ...path.slice(0, -1)) as Mutable;
  if (value === undefined) delete owner[path.at(-1)!];
  else owner[path.at(-1)!] = value;
}

describe.skipIf(!isPossible)("the manifests of Kubernetes", () => {
  const built = kustomize ? Object.fromEntries(BUILT.map((folder) => [folder, build(folder)])) : {};
  test("can be built: Kustomize is there", () => expect(kustomize).toBeDefined());

  test.each(BUILT)("%s: what the API and the settings say is kept to, and what is named is there", async (folder) => {
    expect(await complaintsOf(built[folder]!)).toEqual([]);
  });

  test("every file is listed", () => expect(unlistedFiles()).toEqual([]));

  const pod = ["spec", "template", "spec"] as const;
  const container = [...pod, "containers", 0] as const;
  const faults: [what: string, kind: string, name: string, path: readonly (string | number)[], value: unknown, told: string][] = [
    ["a misspelt field", "Deployment", "cart", [...pod, "terminationGracePeriodSecond"], 40, "terminationGracePeriodSecond"],
    ["a misspelt field deep down", "StatefulSet", "order-service", [...container, "livenessProbe", "httpGet", "pth"], "/", "pth"],
    [
      "a text for a number",
      "Deployment",
      "cart",
      [...pod, "terminationGracePeriodSeconds"],
      "40",
      "terminationGracePeriodSeconds",
    ],
    ["a field that is missing", "PodDisruptionBudget", "cart", ["spec", "selector"], undefined, "matches 0 workloads"],
    ["a field that must be there", "HorizontalPodAutoscaler", "cart", ["spec", "maxReplicas"], undefined, "maxReplicas"],
    ["a word that there is not", "Deployment", "cart", [...container, "imagePullPolicy"], "Sometimes", "imagePullPolicy"],
    [
      "a port of a Service",
      "Service",
      "order-service-peers",
      ["spec", "ports", 0, "targetPort"],
      "htp",
      "order-service has no port htp.",
    ],
    ["a port of a probe", "Deployment", "cart", [...container, "readinessProbe", "httpGet", "port"], "web", "asks the port web"],
    ["a port of a policy", "NetworkPolicy", "cart", ["spec", "ingress", 0, "ports", 0, "port"], "web", "cart has no port web."],
    ["a selector", "Service", "cart", ["spec", "selector", "app.kubernetes.io/name"], "crat", "matches 0 workloads"],
    [
      "a budget's selector",
      "PodDisruptionBudget",
      "cart",
      ["spec", "selector", "matchLabels"],
      { app: "cart" },
      "matches 0 workloads",
    ],
    ["a policy's selector", "NetworkPolicy", "cart", ["spec", "podSelector", "matchLabels"], {}, "matches 2 workloads"],
    [
      "a policy's peers",
      "NetworkPolicy",
      "order-service",
      ["spec", "ingress", 0, "from", 0, "podSelector", "matchLabels"],
      { app: "orders" },
      "matches 0 workloads",
    ],
    ["its own selector", "Deployment", "cart", ["spec", "selector", "matchLabels"], { app: "x" }, "does not match its pods"],
    ["a set's service", "StatefulSet", "order-service", ["spec", "serviceName"], "order-service", "no headless Service"],
    [
      "an autoscaler's target",
      "HorizontalPodAutoscaler",
      "cart",
      ["spec", "scaleTargetRef", "name"],
      "carts",
      "no Deployment carts.",
    ],
    ["a number beside an autoscaler", "StatefulSet", "order-service", ["spec", "replicas"], 3, "replicas of its own"],
    [
      "a map of settings",
      "Deployment",
      "cart",
      [...container, "envFrom", 0, "configMapRef", "name"],
      "setings",
      "no ConfigMap setings.",
    ],
    [
      "a secret",
      "Deployment",
      "cart",
      [...container, "envFrom", 1, "secretRef", "name"],
      "login",
      "nobody makes the Secret login.",
    ],
    ["a volume", "Deployment", "cart", [...pod, "volumes", 0, "name"], "dta", "the volume dta is not both there and mounted."],
    ["a setting's name", "ConfigMap", "settings", ["data", "KAFKA_BROKER"], "a:1", "KAFKA_BROKER is no setting."],
    ["a setting's value", "ConfigMap", "settings", ["data", "TOPIC_PARTITIONS"], "many", 'TOPIC_PARTITIONS is "many"'],
    ["a port that is not listened on", "ConfigMap", "settings", ["data", "CART_PORT"], "8002", "its port http is not 8002"],
    [
      "the time to stop",
      "ConfigMap",
      "settings",
      ["data", "SHUTDOWN_WAIT_MS_MAX"],
      "60000",
      "killed after 40 s, and may take 78 s",
    ],
    [
      "the time to be away",
      "ConfigMap",
      "settings",
      ["data", "SESSION_TIMEOUT_MS"],
      "10000",
      "its session ends after 10 s, and it may be away for 60 s",
    ],
  ];
  test.each(faults)("the check finds %s that is wrong", async (_, kind, name, path, value, told) => {
    const manifests = structuredClone(built["example"]!);
    set(named(manifests, kind, name), path, value);
    expect((await complaintsOf(manifests)).join("\n")).toContain(told);
  });

  const workloads = () => ["Deployment", "StatefulSet"].map((kind) => built["base"]!.find((one) => one.kind === kind)!);

  test("pods may write nothing but their volume, and gain no rights", () => {
    for (const manifest of workloads()) {
      expect(at(manifest, ...pod)).toMatchObject({
        automountServiceAccountToken: false,
        securityContext: { runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } },
      });
      expect(at(manifest, ...container, "securityContext")).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ["ALL"] },
      });
      const writable = listAt(manifest, ...container, "volumeMounts").filter((mount) => mount["readOnly"] !== true);
      expect(writable.map(({ mountPath }) => mountPath)).toEqual(["/data"]);
    }
  });

  test("the user is the image's, and the memory is what the documents say and more than Bun's collector counts on", () => {
    const dockerfile = readFileSync(join(repository, "deploy/Dockerfile"), "utf8");
    const [, uid, gid] = /^USER (\d+):(\d+)$/m.exec(dockerfile)!;
    const operating = readFileSync(join(repository, "docs/operating.md"), "utf8").replaceAll("\n", " ");
    const documented = /Give a container (\d+) MiB/.exec(operating)![1];
    for (const manifest of workloads()) {
      expect(at(manifest, ...pod, "securityContext")).toMatchObject({
        runAsUser: Number(uid),
        runAsGroup: Number(gid),
        fsGroup: Number(gid),
      });
      const { limits } = at(manifest, ...container, "resources") as { limits: Json };
      expect(limits["memory"]).toBe(`${documented}Mi`);
      expect(Number.parseInt(String(limits["memory"])) * 2 ** 20).toBeGreaterThan(Number(bunSettings["BUN_JSC_forceRAMSize"]));
    }
  });

  test("liveness asks what a restart may mend, readiness what requests need", () => {
    for (const manifest of workloads())
      expect(
        ["startupProbe", "livenessProbe", "readinessProbe"].map((probe) => at(manifest, ...container, probe, "httpGet", "path")),
      ).toEqual(["/health/live", "/health/live", "/health/ready"]);
  });

  test("no more order services than the topic has partitions", () => {
    const settings = named(built["example"]!, "ConfigMap", "settings");
    const autoscaler = named(built["example"]!, "HorizontalPodAutoscaler", "order-service");
    expect(at(autoscaler.spec, "maxReplicas")).toBe(Number(settings.data!["TOPIC_PARTITIONS"]));
  });
});
