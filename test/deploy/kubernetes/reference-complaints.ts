import { readConfig } from "../../../src/config/config.ts";
import { settingsTable } from "../../../src/config/settings.ts";
import { STOP_MARGIN_MS } from "../../../src/members/run-members.ts";
import { at, type Json, type Labels, listAt, type Manifest } from "./manifests.ts";

/** Secrets that are made by hand; deploy/k8s/README.md says how. */
const MADE_BY_HAND = ["peer-token", "credentials"];
/** Settings whose values are paths of files that are there only in the pod. */
const FILES = ["PEER_TOKEN_FILE"];
/** Kubernetes gives a pod this long where it does not say how long. */
const GRACE_S = 30;
/** What a pod is given to be scheduled, to get its volume and to join its group again. */
const START_S_MAX = 20;

/** A Deployment or a StatefulSet. */
interface Workload {
  readonly name: string;
  readonly manifest: Manifest;
  readonly labels: Labels;
  readonly pod: Json;
  readonly container: Json;
  readonly ports: ReadonlyMap<string, number>;
}

/** What in the manifests refers to something that is not there, or does not fit what it refers to. */
export function referenceComplaints(manifests: readonly Manifest[]): string[] {
  const workloads = manifests.filter(({ kind }) => ["Deployment", "StatefulSet"].includes(kind)).map(workloadOf);
  return manifests.flatMap((manifest) => {
    const complaints = complaintsOf(manifest, manifests, workloads);
    return complaints.map((complaint) => `${manifest.kind} ${manifest.metadata.name}: ${complaint}`);
  });
}

function complaintsOf(manifest: Manifest, manifests: readonly Manifest[], workloads: readonly Workload[]): string[] {
  const { kind, spec } = manifest;
  switch (kind) {
    case "Service":
      return portComplaints(selected(at(spec, "selector"), workloads), listAt(spec, "ports"), "targetPort");
    case "PodDisruptionBudget":
      return portComplaints(selected(at(spec, "selector", "matchLabels"), workloads), [], "port");
    case "NetworkPolicy": {
      const ports = listAt(spec, "ingress").flatMap((rule) => listAt(rule, "ports"));
      const peers = listAt(spec, "ingress").flatMap((rule) =>
        listAt(rule, "from").map((from) => at(from, "podSelector", "matchLabels")),
      );
      return [
        ...portComplaints(selected(at(spec, "podSelector", "matchLabels"), workloads), ports, "port"),
        ...peers
          .filter((labels) => labels !== undefined)
          .flatMap((labels) => portComplaints(selected(labels, workloads), [], "port")),
      ];
    }
    case "HorizontalPodAutoscaler": {
      const target = at(spec, "scaleTargetRef") as { kind: string; name: string };
      const found = workloads.find(({ manifest: one }) => one.kind === target.kind && one.metadata.name === target.name);
      if (!found) return [`there is no ${target.kind} ${target.name}.`];
      const isFixed = at(found.manifest.spec, "replicas") !== undefined;
      return isFixed ? [`the ${target.kind} ${target.name} has a number of replicas of its own.`] : [];
    }
    case "Deployment":
    case "StatefulSet":
      return workloadComplaints(workloadOf(manifest), manifests);
    case "ConfigMap":
      return [];
    default:
      return ["this kind is not known to the check; teach it."];
  }
}

function workloadOf(manifest: Manifest): Workload {
  const pod = at(manifest.spec, "template", "spec") as Json;
  const container = listAt(pod, "containers")[0]!;
  const ports = new Map(listAt(container, "ports").map((port) => [String(port["name"]), Number(port["containerPort"])]));
  const labels = (at(manifest.spec, "template", "metadata", "labels") ?? {}) as Labels;
  return { name: manifest.metadata.name, manifest, labels, pod, container, ports };
}

const matches = (selector: unknown, labels: Labels): boolean =>
  Object.entries((selector ?? {}) as Labels).every(([name, value]) => labels[name] === value);

const selected = (selector: unknown, workloads: readonly Workload[]): readonly Workload[] =>
  workloads.filter(({ labels }) => selector !== undefined && matches(selector, labels));

function portComplaints(workloads: readonly Workload[], ports: readonly Json[], field: "port" | "targetPort"): string[] {
  if (workloads.length !== 1) return [`its selector matches ${workloads.length} workloads in place of one.`];
  const [{ name, ports: has }] = workloads as [Workload];
  return ports
    .map((port) => String(port[field]))
    .filter((port) => !has.has(port))
    .map((port) => `${name} has no port ${port}.`);
}

function workloadComplaints(workload: Workload, manifests: readonly Manifest[]): string[] {
  const { manifest, labels, pod, container, ports } = workload;
  const complaints: string[] = [];
  const named = (kind: string, name: unknown) => manifests.find((one) => one.kind === kind && one.metadata.name === name);

  if (!matches(at(manifest.spec, "selector", "matchLabels"), labels)) complaints.push("its selector does not match its pods.");
  for (const probe of ["startupProbe", "livenessProbe", "readinessProbe"]) {
    const port = String(at(container, probe, "httpGet", "port"));
    if (!ports.has(port)) complaints.push(`its ${probe} asks the port ${port}, which there is not.`);
  }
  if (manifest.kind === "StatefulSet") {
    const service = named("Service", at(manifest.spec, "serviceName"));
    if (at(service?.spec, "clusterIP") !== "None") complaints.push("its serviceName is no headless Service.");
    if (!matches(at(service?.spec, "selector"), labels)) complaints.push("its headless Service does not select its pods.");
  }

  const volumes = [
    ...listAt(pod, "volumes"),
    ...listAt(manifest.spec, "volumeClaimTemplates").map((one) => one["metadata"] as Json),
  ];
  const mounted = listAt(container, "volumeMounts").map(({ name }) => name);
  const unlike = [...new Set([...volumes.map(({ name }) => name), ...mounted])].filter(
    (name) => !mounted.includes(name) || !volumes.some((one) => one["name"] === name),
  );
  for (const name of unlike) complaints.push(`the volume ${String(name)} is not both there and mounted.`);

  const secrets = [
    ...volumes.map((volume) => at(volume, "secret", "secretName") as string | undefined),
    ...listAt(container, "envFrom").map((from) => at(from, "secretRef", "name") as string | undefined),
  ].filter((name) => name !== undefined);
  for (const name of secrets) if (!MADE_BY_HAND.includes(name)) complaints.push(`nobody makes the Secret ${name}.`);

  const maps = listAt(container, "envFrom").flatMap((from) => (at(from, "configMapRef", "name") as string | undefined) ?? []);
  const given: Record<string, string> = {};
  for (const name of maps) {
    const map = named("ConfigMap", name);
    if (map) Object.assign(given, map.data);
    else complaints.push(`there is no ConfigMap ${name}.`);
  }
  for (const variable of listAt(container, "env")) given[String(variable["name"])] = String(variable["value"]);
  return [...complaints, ...settingComplaints(workload, given)];
}

function settingComplaints({ manifest, pod, container, ports }: Workload, given: Readonly<Record<string, string>>): string[] {
  const known: string[] = settingsTable.map(([name]) => name);
  const unknown = Object.keys(given).filter((name) => !known.includes(name));
  const complaints = unknown.map((name) => `${name} is no setting.`);
  const values = Object.fromEntries(Object.entries(given).filter(([name]) => !FILES.includes(name)));
  try {
    const config = readConfig(values);
    const port = at(container, "args", 0) === "producer" ? config.cart_port : config.order_port;
    if (ports.get("http") !== port) complaints.push(`its port http is not ${port}, on which the service listens.`);
    const preStop_s = Number(at(container, "lifecycle", "preStop", "sleep", "seconds") ?? 0);
    const needed_s = preStop_s + (config.shutdown_wait_ms_max + STOP_MARGIN_MS) / 1_000;
    const grace_s = Number(pod["terminationGracePeriodSeconds"] ?? GRACE_S);
    if (grace_s < needed_s) complaints.push(`it is killed after ${grace_s} s, and may take ${needed_s} s to stop.`);
    // The pod of a StatefulSet starts again only once the one before it has stopped.
    const away_s = grace_s + START_S_MAX;
    const session_s = config.session_timeout_ms / 1_000;
    if (manifest.kind === "StatefulSet" && session_s < away_s)
      complaints.push(`its session ends after ${session_s} s, and it may be away for ${away_s} s while it is replaced.`);
  } catch (e) {
    complaints.push(e instanceof Error ? e.message : String(e));
  }
  return complaints;
}
