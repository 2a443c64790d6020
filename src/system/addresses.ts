import { networkInterfaces } from "node:os";

/** This machine's addresses under which other machines may know it, in the order in which the system tells them. */
export const otherMachinesKnow = (): string[] =>
  Object.values(networkInterfaces()).flatMap((addresses) =>
    (addresses ?? []).flatMap(({ address, internal, scopeid }) => {
      // A link-local IPv6 address means something on its own link alone.
      const isLinkLocal = scopeid !== undefined && scopeid !== 0;
      return internal || isLinkLocal ? [] : [address];
    }),
  );
