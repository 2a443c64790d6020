/** The text of each file, by its path. */
export type Tree = ReadonlyMap<string, string>;

/** Finds what in the tree breaks the rule, and returns one sentence for each. */
export type Rule = (tree: Tree) => string[];
