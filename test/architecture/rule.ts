/** The text of each file, by its path. */
export type Tree = ReadonlyMap<string, string>;

/** What in the tree breaks the rule, a sentence each. */
export type Rule = (tree: Tree) => string[];
