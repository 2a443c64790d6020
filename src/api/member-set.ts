import { Type } from "@sinclair/typebox";
import type { PartitionHealth, Readiness } from "../http/health.ts";

/** What one member answers of itself, and what its supervisor knows of it. */
export interface MemberHealth extends Partial<Omit<Readiness, "partitions">> {
  readonly member: number;
  readonly state: "starting" | "listening" | "waiting" | "ended";
  readonly restarts: number;
  /** Whether it listens on the shared port. */
  readonly shares: boolean;
  /** Where this member alone answers. */
  readonly url?: string;
}

export interface SetReadiness extends Readiness {
  readonly partitions: readonly (PartitionHealth & { readonly member: number })[];
  readonly members: readonly MemberHealth[];
}

/**
 * What members that share a port answer together. A request to such a port comes to any of them, so what is asked
 * there about a service is asked about all.
 */
export interface MemberSet {
  /** Ready while all that listen on the shared port are. */
  readiness(): Promise<SetReadiness>;
  /** Why only a restart may help one of them; undefined if it need not. */
  standstill(): Promise<string | undefined>;
  /** Everybody's metrics in one text, told apart by the label `member`. */
  metrics(): Promise<string>;
}

export const memberHealth = Type.Object(
  {
    member: Type.Integer({ minimum: 0 }),
    state: Type.Unsafe<MemberHealth["state"]>({
      type: "string",
      enum: ["starting", "listening", "waiting", "ended"],
      description: "waiting: it ended and is started again soon. ended: it is not started again; its log says why.",
    }),
    restarts: Type.Integer({ minimum: 0 }),
    shares: Type.Boolean({ description: "Whether it listens on the shared port, as it does once it is ready." }),
    url: Type.Optional(Type.String({ description: "Where this member alone answers." })),
    status: Type.Optional(Type.String({ description: "The member's own status; silent if it does not answer." })),
  },
  { title: "MemberOfSet", description: "And whatever else the member's own /health/ready tells, but for its partitions." },
);
