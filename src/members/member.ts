import type { MemberSet } from "../api/member-set.ts";
import type { Clock } from "../system/clock.ts";
import { type FromMember, type MemberView, SERVICES, type ServiceName, type ToMember } from "./messages.ts";
import { type AskMember, SetAnswers } from "./set-answers.ts";

/** The way to the supervisor, which ends when either process does. */
export interface SupervisorChannel {
  send(message: FromMember): void;
  /** Called once, before the first message can come. */
  onMessage(listener: (message: ToMember) => void): void;
  onGone(listener: () => void): void;
}

/** A service of this member. */
export interface MemberService {
  isReady(): boolean;
  /** Listens on the shared port, too. */
  share(): void;
}

export interface MemberOptions {
  readonly member: number;
  /** MEMBER_PORT_MIN. */
  readonly port_min: number;
  readonly channel: SupervisorChannel;
  readonly ask: AskMember;
  readonly clock: Clock;
}

const READY_LOOK_MS = 200;

/**
 * One of the processes that share a port. It has ports of its own, on which it answers for itself. Each service:
 *
 * ```
 *  own port ──ready, or told by the supervisor──▶ own port and shared port
 * ```
 *
 * So a member that was started again gets no requests before it can answer them, while others can.
 */
export class Member {
  readonly member: number;
  readonly #options: MemberOptions;
  readonly #told = new Map(SERVICES.map((service) => [service, new AbortController()]));
  readonly #stopped = new AbortController();
  #views: readonly MemberView[] = [];

  constructor(options: MemberOptions) {
    this.#options = options;
    this.member = options.member;
    options.channel.onMessage((message) => this.#onMessage(message));
  }

  /** The port that a service has for itself; 0 takes a free one. */
  ownPort(service: ServiceName): number {
    const { port_min } = this.#options;
    return port_min === 0 ? 0 : port_min + SERVICES.length * this.member + SERVICES.indexOf(service);
  }

  /** What all members answer together. */
  set(service: ServiceName): MemberSet {
    return new SetAnswers(service, () => this.#views, this.#options.ask, this.#options.clock);
  }

  /** Tells the supervisor where this member answers. */
  listening(urls: MemberView["urls"]): void {
    this.#options.channel.send({ kind: "listening", urls });
  }

  /** Resolves once the service listens on the shared port, or the member stops. Rejects with what `share` throws. */
  async share(name: ServiceName, service: MemberService): Promise<void> {
    const { clock, channel } = this.#options;
    const told = this.#told.get(name)!.signal;
    while (!told.aborted && !service.isReady()) {
      await clock.sleep(READY_LOOK_MS, AbortSignal.any([told, this.#stopped.signal]));
      if (this.#stopped.signal.aborted) return;
    }
    service.share();
    channel.send({ kind: "shared", service: name });
  }

  stop(): void {
    this.#stopped.abort();
  }

  #onMessage(message: ToMember): void {
    switch (message.kind) {
      case "members":
        this.#views = message.members;
        break;
      case "share":
        this.#told.get(message.service)?.abort();
        break;
    }
  }
}
