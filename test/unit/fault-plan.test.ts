import type { AddressInfo, Socket } from "node:net";
import { connect, createServer } from "node:net";
import { describe, expect, it } from "vitest";
import { BREAKS } from "../../faults/broken-build.ts";
import { OptionError, readOptions } from "../../faults/options.ts";
import { planOf, SCENARIOS, staying } from "../../faults/scenarios.ts";
import { startSwallowingProxy } from "../../faults/swallowing-proxy.ts";
import { eventually } from "../support/eventually.ts";
import { stopsWithTest } from "../support/teardown.ts";

const STAGE = { seconds: 20, nodes: 3, clients: 60 };

describe("the plan of faults", () => {
  for (const scenario of Object.keys(SCENARIOS)) {
    it(`${scenario}: the same seed draws the same faults, another seed others`, () => {
      const plan = planOf(scenario, 1, STAGE);
      expect(planOf(scenario, 1, STAGE)).toEqual(plan);
      expect(planOf(scenario, 2, STAGE)).not.toEqual(plan);
      expect(plan.filter(({ fault }) => fault.kind !== "arrive" && fault.kind !== "depart").length).toBeGreaterThan(0);
      for (const { atMs } of plan) expect(atMs).toBeLessThan(STAGE.seconds * 1_000);
    });
  }

  it("a long mixed run has every kind of fault", () => {
    const kinds = new Set(planOf("mixed", 1, { ...STAGE, seconds: 200 }).map(({ fault }) => fault.kind));
    for (const name of Object.keys(SCENARIOS).filter((each) => each !== "slow")) {
      for (const { fault } of planOf(name, 1, STAGE)) expect(kinds).toContain(fault.kind);
    }
  });

  it("who stays is never one that goes", () => {
    for (const { fault } of planOf("slow", 3, STAGE)) {
      if (fault.kind === "stop reading") expect(fault.client).toBeLessThan(staying(STAGE.clients));
      if (fault.kind === "depart" || fault.kind === "arrive") {
        expect(fault.client).toBeGreaterThanOrEqual(staying(STAGE.clients));
      }
    }
  });
});

describe("the arguments of npm run faults", () => {
  it("are all scenarios with seed 1 by default", () => {
    expect(readOptions([])).toMatchObject({ scenarios: Object.keys(SCENARIOS), seeds: [1], target: "roomcast" });
  });

  for (const [args, named] of [
    [["--scenario", "flood"], "--scenario flood"],
    [["--seed", "one"], "--seed"],
    [["--seconds", "0"], "--seconds"],
    [["--clients", "1e9"], "--clients"],
    [["--target", "nats"], "--target"],
    [["--break", "everything"], "--break"],
    [["--write", "page.md"], "--results"],
    [["--sede", "1"], "--sede"],
  ] as const) {
    it(`name the one that is wrong: ${args.join(" ")}`, () => {
      expect(() => readOptions(args)).toThrow(OptionError);
      expect(() => readOptions(args)).toThrow(named);
    });
  }

  it("know every break", () => {
    for (const name of Object.keys(BREAKS)) expect(readOptions(["--break", name]).broken).toBe(name);
  });
});

describe("a proxy that swallows bytes", () => {
  async function echo() {
    let accepted = 0;
    const server = createServer((socket) => {
      accepted += 1;
      socket.on("error", () => undefined);
      socket.pipe(socket);
    });
    await new Promise<void>((resolve) => {
      server.listen(0, "127.0.0.1", resolve);
    });
    const proxy = await startSwallowingProxy((server.address() as AddressInfo).port);
    const open: Socket[] = [];
    stopsWithTest(async () => {
      for (const socket of open) socket.destroy();
      await proxy.close();
      server.close();
    });
    const client = () => {
      const socket = connect(proxy.port, "127.0.0.1");
      open.push(socket);
      let heard = "";
      socket.on("data", (chunk) => {
        heard += chunk.toString();
      });
      return { socket, heard: () => heard };
    };
    return { proxy, client, accepted: () => accepted };
  }

  for (const what of ["requests", "replies", "both"] as const) {
    it(`passes nothing on and closes nothing (${what}); later connections work again`, async () => {
      const { proxy, client, accepted } = await echo();
      const before = client();
      before.socket.write("one");
      await eventually(() => expect(before.heard()).toBe("one"));
      proxy.swallow(what);
      const during = client();
      for (const { socket } of [before, during]) socket.write("two");
      await eventually(() => expect(accepted()).toBe(2));
      proxy.pass();
      const after = client();
      after.socket.write("three");
      await eventually(() => expect(after.heard()).toBe("three"));
      before.socket.write("four");
      after.socket.write("five");
      await eventually(() => expect(after.heard()).toBe("threefive"));
      expect([before.heard(), during.heard()]).toEqual(["one", ""]);
      expect([before.socket.closed, during.socket.closed]).toEqual([false, false]);
    });
  }
});
