const bottom = ["system", "errors"];
const log = ["log", "log/append", "log/read", "log/group"];
const logs = [...log, "log/open-log", "log/kafka", "log/sqlite"];

/**
 * The parts of src, and what each may import besides itself. This is about whole imports: the services and main may
 * use settings and telemetry; the pure and the reusable parts below them are given values and functions, and at most
 * know the types of both.
 */
export const mayImport: Record<string, readonly string[]> = {
  errors: [],
  system: ["errors"],
  orders: bottom,
  log: bottom,
  "log/append": ["log", ...bottom],
  "log/read": ["log", ...bottom],
  "log/group": ["log", ...bottom],
  "log/kafka": [...log, ...bottom],
  "log/sqlite": [...log, ...bottom],
  "log/open-log": [...logs, ...bottom],
  storage: bottom,
  runtime: [...log, "storage", ...bottom],
  config: bottom,
  telemetry: ["config", "log", "orders", ...bottom],
  http: ["config", "telemetry", "log", "runtime", ...bottom],
  api: ["http", "runtime", "log", "orders", ...bottom],
  fleet: ["http", "log", ...bottom],
  "services/service-options": ["config", "telemetry", "runtime", "storage", ...log, ...bottom],
  "services/cart": [
    "services/service-options",
    "api",
    "fleet",
    "http",
    "config",
    "telemetry",
    "runtime",
    ...log,
    "orders",
    ...bottom,
  ],
  "services/orders": [
    "services/service-options",
    "api",
    "fleet",
    "http",
    "config",
    "telemetry",
    "runtime",
    ...logs,
    "orders",
    ...bottom,
  ],
  tools: ["config", "telemetry", ...logs, "storage", "orders", "runtime", "services/cart", "services/orders", ...bottom],
  healthcheck: ["system", "config"],
  members: ["api", "http", "config", "telemetry", "log", ...bottom],
  compose: [
    "members",
    "services/service-options",
    "services/cart",
    "services/orders",
    "fleet",
    "http",
    "config",
    "telemetry",
    "runtime",
    ...log,
    ...bottom,
  ],
  main: ["compose", "members", "fleet", "http", "config", "telemetry", "runtime", "storage", ...logs, ...bottom],
};
export const mayImportTypes: Record<string, readonly string[]> = {
  log: ["config", "telemetry"],
  "log/append": ["config", "telemetry"],
  "log/kafka": ["config", "telemetry"],
  "log/open-log": ["config", "telemetry"],
  runtime: ["config", "telemetry"],
  storage: ["config"],
  api: ["telemetry"],
  fleet: ["telemetry"],
  config: ["log"],
};

/** Whether a part has folders that are parts themselves; if so, each of its folders must be one. */
const hasParts = (part: string): boolean => Object.keys(mayImport).some((name) => name.startsWith(`${part}/`));

/**
 * The longest name of a part that the path begins with, or the folder in that part that ought to be a part itself. For
 * a file in no part, it is the first folder under src or the file's name.
 */
export const partOf = (path: string): string => {
  const below = path.replace(/^src\//, "").replace(/\.ts$/, "");
  const names = below.split("/");
  for (let n = names.length; n > 0; n--) {
    const name = names.slice(0, n).join("/");
    if (!(name in mayImport)) continue;
    const isInFolder = n < names.length - 1;
    return isInFolder && hasParts(name) ? names.slice(0, n + 1).join("/") : name;
  }
  return names[0] ?? "";
};
