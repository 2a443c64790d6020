import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { SETTINGS_PAGE, settingsPage } from "./settings-page.ts";

/** Writes docs/settings.md anew: `bun run settings`. */
writeFileSync(join(import.meta.dir, "../..", SETTINGS_PAGE), settingsPage());
console.log(`Wrote ${SETTINGS_PAGE}.`);
