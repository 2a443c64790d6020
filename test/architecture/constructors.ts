import type { Rule } from "./rule.ts";

/** The index at which the bracket at `from` is closed. */
const closing = (code: string, from: number): number => {
  let depth = 0;
  for (let at = from; at < code.length; at++) {
    if ("([{".includes(code[at] as string)) depth++;
    if (")]}".includes(code[at] as string) && --depth === 0) return at;
  }
  return code.length;
};

/** The code without the bodies of its arrow functions, which run later. */
const withoutFunctions = (code: string): string => {
  let kept = "";
  for (let from = 0; ;) {
    const arrow = code.indexOf("=>", from);
    if (arrow < 0) return kept + code.slice(from);
    kept += code.slice(from, arrow);
    let at = arrow + 2;
    while (at < code.length && !",;)]}".includes(code[at] as string))
      at = "([{".includes(code[at] as string) ? closing(code, at) + 1 : at + 1;
    from = at;
  }
};

/** The code that runs while an object is made: the bodies of constructors and the initial values of fields. */
const runWhileMaking = (code: string): string[] => {
  const bodies = [...code.matchAll(/\bconstructor\(/g)].map(({ index }) => {
    const body = code.indexOf("{", closing(code, index + "constructor".length));
    return code.slice(body, closing(code, body) + 1);
  });
  const fields = [...code.matchAll(/^ {2}(?:(?:private|readonly) )*#?\w+(?:: [^=\n]+)? = .*;$/gm)].map(([field]) => field);
  return [...bodies, ...fields].map(withoutFunctions);
};

/** The start of a timer, a wait, a place in a group or anything else, and a promise that nobody waits for. */
const startPattern =
  /\bset(?:Interval|Timeout|Immediate)\(|\bqueueMicrotask\(|\bBun\.(?:serve|spawn)\(|\.(?:sleep|yield|joinGroup|start)\(|\bvoid [\w.#]+/g;

export const constructorsStartNothing: Rule = (tree) =>
  [...tree].flatMap(([path, text]) => {
    // The transpiler's output will not do: it drops `void`, which marks a promise that nobody waits for.
    const code = text.replace(/^\s*(?:\/\/|\/?\*).*$/gm, "");
    const asynchronous = [...code.matchAll(/\basync[ *]+(#?\w+)[(<]/g)].map(([, name]) => name as string);
    return runWhileMaking(code).flatMap((made) => {
      const calls = [...made.matchAll(/\bthis\.(#?\w+)\(/g)].filter(([, name]) => asynchronous.includes(name as string));
      const found = [...made.matchAll(startPattern), ...calls].map(([use]) => use);
      return found.map((use) => `${path}: ${use.trim()} runs while an object is made; move it to its start().`);
    });
  });
