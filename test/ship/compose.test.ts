import { setTimeout as delay } from "node:timers/promises";
import { expect, it } from "vitest";
import { stockClient, TRANSPORTS } from "../support/client.ts";
import { command, composeUp, describeWithDocker, devToken } from "../support/compose.ts";
import { eventually } from "../support/eventually.ts";
import { Member } from "../support/member.ts";

const UP_MS = 300_000;
const MEMBERS = 9;

interface Entered {
  readonly members: Member[];
  /** The names of all nodes that ever served them. */
  readonly nodes: ReadonlySet<string>;
  /** Whom anybody was told of as having left. */
  readonly left: readonly string[];
}

/** Members by every transport through the balancer. */
async function enter(url: string, room: string): Promise<Entered> {
  const members: Member[] = [];
  const left: string[] = [];
  const nodes = new Set<string>();
  const kinds = Object.values(TRANSPORTS);
  for (let who = 0; who < MEMBERS; who++) {
    const socket = stockClient(url, await devToken(url, `u${who}`), {
      transports: [...(kinds[who % kinds.length] ?? [])],
      reconnectionDelay: 100,
      reconnectionDelayMax: 1_000,
    });
    socket.on("userLeft", ({ user }: { user: { id: string } }) => left.push(user.id));
    socket.on("welcome", ({ node }: { node: string }) => nodes.add(node));
    members.push(new Member(socket, room));
    socket.connect();
  }
  await eventually(() => expect(members.every(({ joined }) => joined)).toBe(true), { withinMs: 20_000 });
  return { members, nodes, left };
}

function talkAll(members: readonly Member[]): { stop(): Promise<void> } {
  let talking = true;
  const sent = members.map(async (member, who) => {
    for (let index = 0; talking; index++) {
      await member.send(`m${who}-${index}`);
      await delay(50);
    }
  });
  return {
    async stop() {
      talking = false;
      await Promise.all(sent);
    },
  };
}

/** All that was acknowledged is with every member, once and in order. */
async function expectComplete(members: readonly Member[]): Promise<void> {
  const end = Math.max(...members.flatMap(({ acked }) => [...acked.values()]));
  await eventually(
    () => {
      for (const member of members) expect(member.messages.at(-1)?.seq).toBeGreaterThanOrEqual(end);
    },
    { withinMs: 20_000 },
  );
  for (const member of members) {
    expect(member.violations).toEqual([]);
    expect(member.runs).toHaveLength(1);
    const ids = member.messages.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const talker of members) for (const id of talker.acked.keys()) expect(ids).toContain(id);
  }
}

describeWithDocker("docker compose up --build", () => {
  it("[G4] [G8] serves every transport on three nodes; a killed node and a rolling restart lose nothing", {
    timeout: UP_MS,
  }, async () => {
    const { url, run } = await composeUp(3, { env: { DRAIN_SECONDS: "3" } });
    expect((await fetch(url)).status).toBe(200);
    const { members, nodes, left } = await enter(url, "chat:compose");
    expect(nodes.size).toBe(3);
    const talk = talkAll(members);
    const heard = () => Math.max(...members.map(({ messages }) => messages.at(-1)?.seq ?? 0));
    const goOn = async () => {
      const before = heard();
      await eventually(() => expect(heard()).toBeGreaterThan(before + 100), { withinMs: 30_000 });
      await eventually(() => expect(members.every(({ joined }) => joined)).toBe(true), { withinMs: 30_000 });
    };
    await goOn();
    const ids = (await run("ps", "--quiet", "node")).trim().split("\n");
    expect(ids).toHaveLength(3);
    const healthy = (id: string) =>
      eventually(
        async () => {
          expect(await command("docker", ["inspect", "--format", "{{.State.Health.Status}}", id])).toBe("healthy\n");
        },
        { withinMs: 60_000 },
      );
    await command("docker", ["kill", ids[0] ?? ""]);
    await goOn();
    await command("docker", ["start", ids[0] ?? ""]);
    await healthy(ids[0] ?? "");
    for (const id of ids) {
      await command("docker", ["restart", "--time", "30", id]);
      await healthy(id);
      await goOn();
    }
    await talk.stop();
    await expectComplete(members);
    expect(left).toEqual([]);
  });
});

describeWithDocker("the image", () => {
  it("runs as a user without rights on a read-only file system, has no development packages, and drains", {
    timeout: UP_MS,
  }, async () => {
    const image = "roomcast:test";
    await command("docker", ["build", "--tag", image, "."]);
    const inspect = JSON.parse(await command("docker", ["image", "inspect", image]));
    expect(inspect[0].Config.User).toBe("node");
    expect(inspect[0].Config.Healthcheck.Test.join(" ")).toContain("/livez");
    const inside = (...args: string[]) =>
      command("docker", ["run", "--rm", "--read-only", "--network", "none", image, ...args]);
    expect((await inside("node", "--version")).trim()).toMatch(/^v24\./);
    expect(await inside("sh", "-c", "ls node_modules")).not.toMatch(/^(vitest|typescript|testcontainers|node)$/m);
    expect((await inside("id", "-u")).trim()).not.toBe("0");

    const run = [
      "run",
      "--detach",
      "--read-only",
      "--cap-drop",
      "ALL",
      "--network",
      "none",
      "--env",
      "REDIS_URL=memory:",
    ];
    const secret = "x".repeat(32);
    const id = (await command("docker", [...run, "--env", `JWT_SECRET=${secret}`, image])).trim();
    try {
      const state = async () => JSON.parse(await command("docker", ["inspect", id]))[0].State;
      await eventually(async () => expect((await state()).Health.Status).toBe("healthy"), { withinMs: 60_000 });
      await command("docker", ["kill", "--signal", "TERM", id]);
      await eventually(async () => expect((await state()).Status).toBe("exited"), { withinMs: 20_000 });
      expect((await state()).ExitCode).toBe(0);
    } finally {
      await command("docker", ["rm", "--force", id]);
    }
  });
});
