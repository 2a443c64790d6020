import { existsSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";

/** Prose ends before this column. */
const COLUMNS = 120;

export const root = join(import.meta.dir, "../..");

/** The Markdown files of the repository, as paths from its top level. */
export const documents = (): string[] =>
  [...new Bun.Glob("**/*.md").scanSync(root)].filter((path) => !/(?:^|\/)(?:node_modules|data|backup)\//.test(path)).toSorted();

export const textOf = (path: string): string => readFileSync(join(root, path), "utf8");

/** Lines of prose and code that are too long. Neither a table's row nor a link's target can be broken. */
export const longLines = (text: string): string[] =>
  text.split("\n").filter((line) => !line.startsWith("|") && Bun.stringWidth(line.replaceAll(/\]\([^)]*\)/g, "]")) >= COLUMNS);

/** Links within the repository that lead nowhere, because there is no such file or no such heading in it. */
export function deadLinks(path: string, text: string, files: (path: string) => string | undefined): string[] {
  const prose = text.replaceAll(/^```[^]*?^```/gm, "");
  const targets = [...prose.matchAll(/\]\((?<link>[^)\s]+)\)|\b(?:src|srcset|href)="(?<html>[^"]+)"/g)].map(
    ({ groups }) => groups!["link"] ?? groups!["html"]!,
  );
  return targets
    .filter((target) => !/^[a-z]+:/.test(target))
    .filter((target) => {
      const [file, heading] = target.split("#") as [string, string | undefined];
      const found = file === "" ? text : files(posix.join(posix.dirname(path), file));
      return found === undefined || (heading !== undefined && !headingsOf(found).includes(heading));
    });
}

/** The headings as GitHub names them in addresses. */
const headingsOf = (text: string): string[] =>
  [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
    heading!
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );

/** Paths of the source and the tests that a text names but that do not exist. A star stands for any name. */
export const missingPaths = (text: string, isThere: (path: string) => boolean): string[] =>
  [...text.matchAll(/(?<![\w./-])(?:src|test)\/[\w.*@/-]*[\w*/]/g)].map(([path]) => path).filter((path) => !isThere(path));

export const contentAt = (path: string): string | undefined => {
  if (!existsSync(join(root, path))) return undefined;
  return path.endsWith(".md") ? textOf(path) : "";
};

export const isInRepository = (path: string): boolean =>
  path.includes("*") ? !new Bun.Glob(path).scanSync(root).next().done : existsSync(join(root, path));
