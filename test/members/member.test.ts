import { expect, test } from "bun:test";
import { Member, type SupervisorChannel } from "../../src/members/member.ts";
import type { FromMember, ToMember } from "../../src/members/messages.ts";
import { ManualClock } from "../support/manual-clock.ts";

function rig(member = 0, port_min = 0) {
  const sent: FromMember[] = [];
  let tell: (message: ToMember) => void = () => {};
  const channel: SupervisorChannel = {
    send: (message) => void sent.push(message),
    onMessage: (listener) => void (tell = listener),
    onGone: () => {},
  };
  const clock = new ManualClock();
  const ask = () => Promise.resolve(undefined);
  const one = new Member({ member, port_min, channel, ask, clock });
  let shares = 0;
  const service = { ready: false, isReady: () => service.ready, share: () => void shares++ };
  return { one, sent, clock, service, tell: (message: ToMember) => tell(message), shares: () => shares };
}

test("a service listens on the shared port once it is ready, and says so", async () => {
  const { one, sent, clock, service, shares } = rig();
  const shared = one.share("cart", service);
  await clock.pass(10_000);
  expect(shares()).toBe(0);
  service.ready = true;
  await clock.pass(200);
  await shared;
  expect(shares()).toBe(1);
  expect(sent).toEqual([{ kind: "shared", service: "cart" }]);
});

test("a service that is not ready listens there when it is told to, and the other service does not", async () => {
  const { one, clock, service, tell, shares } = rig();
  const shared = one.share("cart", service);
  tell({ kind: "share", service: "order-service" });
  await clock.pass(1_000);
  expect(shares()).toBe(0);
  tell({ kind: "share", service: "cart" });
  await shared;
  expect(shares()).toBe(1);
});

test("a member that stops does not begin to listen", async () => {
  const { one, sent, clock, service, shares } = rig();
  const shared = one.share("cart", service);
  one.stop();
  service.ready = true;
  await clock.pass(1_000);
  await shared;
  expect({ shares: shares(), sent }).toEqual({ shares: 0, sent: [] });
});

test("own ports are free ones, or follow one another from MEMBER_PORT_MIN", () => {
  expect(rig(3).one.ownPort("cart")).toBe(0);
  const ports = [0, 1, 2].flatMap((member) => {
    const { one } = rig(member, 8_100);
    return [one.ownPort("cart"), one.ownPort("order-service")];
  });
  expect(ports).toEqual([8_100, 8_101, 8_102, 8_103, 8_104, 8_105]);
});
