import { type Endpoint, endpoint } from "../../../http/endpoint/endpoint.ts";
import { hostName } from "../../../http/hosts.ts";

const STYLE = `:root{color-scheme:light dark}body{font:15px/1.6 system-ui,sans-serif;max-width:44rem;margin:3rem auto;padding:0 1rem}
h1{font-size:1.2rem}pre{overflow-x:auto;border:1px solid color-mix(in srgb,currentColor 25%,transparent);border-radius:4px;padding:.7rem 1rem}`;

/**
 * Only the browser knows the address under which a proxy serves the page, so this script writes that address into the
 * commands. If it is not the address by which the service was asked, nobody here knows the order page's address
 * either, and plain words replace the link.
 */
const SCRIPT = `const here=new URL(".",location.href).href.slice(0,-1),link=document.querySelector("a[data-asked]")
for(const each of document.querySelectorAll(".here"))each.textContent=here
if(here!==link.dataset.asked)link.replaceWith(link.textContent+" (port "+new URL(link.href).port+" where that service runs)")`;

const hashOf = (text: string): string => `'sha256-${new Bun.CryptoHasher("sha256").update(text).digest("base64")}'`;

const headers = {
  "content-type": "text/html;charset=utf-8",
  "cache-control": "no-cache",
  "content-security-policy": `default-src 'none'; script-src ${hashOf(SCRIPT)}; style-src ${hashOf(STYLE)}; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

/**
 * A page at `/` for people who come here first: what this service is, a request to try, and a link to the order
 * service's page, whose port comes from the settings.
 */
export const cartPage = (order_port: number): Endpoint =>
  endpoint({
    method: "GET",
    path: "/",
    undocumented: "A page for people is not part of the API.",
    handle: (request) => {
      const host = request.headers.get("host") ?? "localhost";
      const asked = Bun.escapeHTML(`http://${host}`);
      const page = Bun.escapeHTML(`http://${hostName(host) ?? "localhost"}:${order_port}/`);
      return new Response(
        `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Cart service</title><link rel="icon" href="data:,"><style>${STYLE}</style></head>
<body><main><h1>Cart service</h1>
<p>It takes orders and their updates, and appends them to the log. See them arrive on the
<a href="${page}" data-asked="${asked}">order service\u2019s page</a>.</p>
<pre tabindex="0">curl -X POST <span class="here">${asked}</span>/create-order \\
  -H 'content-type: application/json' -d '{"order_id":"123","number_of_items":3}'
curl -X PUT <span class="here">${asked}</span>/update-order \\
  -H 'content-type: application/json' -d '{"order_id":"123","status":"confirmed"}'</pre>
<p><a href="health/ready">/health/ready</a> tells whether it can take orders now, <a href="docs">/docs</a> what it takes.</p></main>
<script>${SCRIPT}</script></body></html>
`,
        { headers },
      );
    },
  });
