/** The services of the program, by the names that their log lines and metrics have. */
export const SERVICES = ["cart", "order-service"] as const;
export type ServiceName = (typeof SERVICES)[number];

/** What the supervisor knows of a member, and tells to all of them. */
export interface MemberView {
  readonly member: number;
  /**
   * starting: it has not told its own ports yet. waiting: it ended, and is started again. ended: it is not started
   * again.
   */
  readonly state: "starting" | "listening" | "waiting" | "ended";
  readonly restarts: number;
  /** Where the member alone answers. */
  readonly urls: Readonly<Partial<Record<ServiceName, string>>>;
  /** Which of its services listen on the shared port. */
  readonly shared: readonly ServiceName[];
}

/** What a member tells the supervisor. */
export type FromMember =
  { readonly kind: "listening"; readonly urls: MemberView["urls"] } | { readonly kind: "shared"; readonly service: ServiceName };

/** What the supervisor tells a member. */
export type ToMember =
  | { readonly kind: "members"; readonly members: readonly MemberView[] }
  /** Listen on the shared port now, ready or not, as no other member does. */
  | { readonly kind: "share"; readonly service: ServiceName };
