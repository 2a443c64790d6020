/** A source of numbers in [0, 1): `Math.random` at the edge, a seeded one in tests and simulations. */
export type Random = () => number;

/** Makes a random UUID, version 4 (RFC 9562). The edge passes `crypto.randomUUID`. */
export type NewUuid = () => string;
