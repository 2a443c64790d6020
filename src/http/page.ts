import { Type } from "@sinclair/typebox";
import { AppError } from "../errors.ts";
import { type Endpoint, endpoint } from "./endpoint/endpoint.ts";
import { pathParameter } from "./endpoint/parameter.ts";

interface Asset {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly type: string;
}

/**
 * Allows nothing but what this service serves itself: no inline script or style, no other host, no frame around it.
 * Icons are in the page.
 */
const CONTENT_SECURITY_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; " +
  "form-action 'self'; frame-ancestors 'none'";
const pageHeaders = {
  "content-security-policy": CONTENT_SECURITY_POLICY,
  "cache-control": "no-cache",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};
/** Assets never change, as their names carry a hash of their content. */
const assetHeaders = { "cache-control": "public, max-age=31536000, immutable", "x-content-type-options": "nosniff" };

/**
 * An HTML page at `/`, and what it links to at `/assets`. Bun bundles them in memory when they are first asked for
 * (some 50 ms), so that a start waits for nothing and there is no build step. `entry` is the HTML file's path.
 */
export const pageEndpoints = (entry: string): Endpoint[] => {
  const page = new Page(entry);
  return [
    endpoint({
      method: "GET",
      path: "/",
      undocumented: "A page for people is not part of the API.",
      handle: async () => {
        const { bytes, type } = (await page.assets()).get("/") as Asset;
        return new Response(bytes, { headers: { ...pageHeaders, "content-type": type } });
      },
    }),
    endpoint({
      method: "GET",
      path: "/assets/:name",
      undocumented: "Only the page asks for its files.",
      parameters: [assetName],
      handle: async (_, { name }) => {
        const found = (await page.assets()).get(name);
        if (!found) throw new AppError("NOT_FOUND", "There is no such asset; load the page again.");
        return new Response(found.bytes, { headers: { ...assetHeaders, "content-type": found.type } });
      },
    }),
  ];
};

const assetName = pathParameter("name", {
  description: "As the page links to it.",
  schema: Type.String(),
  example: "main-0a1b2c3d.js",
});

class Page {
  #assets: Promise<ReadonlyMap<string, Asset>> | undefined;

  constructor(private readonly entry: string) {}

  /** The assets by name; the page itself has the name `/`. A build that failed is tried again. */
  assets(): Promise<ReadonlyMap<string, Asset>> {
    return (this.#assets ??= this.#build().catch((e: unknown) => {
      this.#assets = undefined;
      throw e;
    }));
  }

  async #build(): Promise<ReadonlyMap<string, Asset>> {
    const { outputs } = await Bun.build({
      entrypoints: [this.entry],
      target: "browser",
      minify: true,
      // The path is relative, so that the page works behind a proxy's prefix.
      publicPath: "assets/",
      naming: { entry: "[name]-[hash].[ext]", chunk: "[name]-[hash].[ext]", asset: "[name]-[hash].[ext]" },
    });
    const assets = new Map<string, Asset>();
    for (const output of outputs) {
      const name = output.path.replace(/^.*\//, "");
      assets.set(name.endsWith(".html") ? "/" : name, { bytes: new Uint8Array(await output.arrayBuffer()), type: output.type });
    }
    return assets;
  }
}
