import { expect, it } from "vitest";
import { command, composeUp, describeWithDocker, ENGINE_SOCKET } from "../support/compose.ts";
import { eventually } from "../support/eventually.ts";
import { enter, expectComplete, recoveryOf, talkAll } from "../support/talkers.ts";

const UP_MS = 300_000;

describeWithDocker("docker compose up --build", () => {
  it("[G4] [G8] serves every transport on three nodes; a killed node and a rolling restart lose nothing", {
    timeout: UP_MS,
  }, async () => {
    const { url, run } = await composeUp(3, { env: { DRAIN_SECONDS: "3" } });
    expect((await fetch(url)).status).toBe(200);
    const { members, nodes, flaps } = await enter(url, "chat:compose");
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
      // As docs/operations.md has it for an upgrade.
      await command("docker", ["stop", "--time", "40", id]);
      await command("docker", ["rm", id]);
      await run("up", "--detach", "--wait", "--no-recreate", "--scale", "node=3", "node");
      await goOn();
    }
    // What it keeps open it keeps open, and new clients come by the new process.
    const before = members.flatMap(({ outagesMs }) => outagesMs).length;
    await run("kill", "--signal", "USR2", "haproxy");
    await goOn();
    const websockets = members.filter(({ socket }) => socket.io.engine.transport.name === "websocket");
    expect(websockets.length).toBeGreaterThan(0);
    process.stdout.write(
      `a reload of HAProxy moved ${members.flatMap(({ outagesMs }) => outagesMs).length - before}\n`,
    );
    await talk.stop();
    await expectComplete(members);
    expect(flaps).toEqual([]);
    process.stdout.write(`docker compose, a killed node, a rolling restart and a reload: ${recoveryOf(members)}\n`);
  });
});

describeWithDocker("docker compose with the profiles load and faults", () => {
  it("artillery misses nothing while nodes and Redis are killed, frozen and restarted", {
    timeout: 2 * UP_MS,
  }, async () => {
    const env = {
      RATE_LIMITS: "off",
      DRAIN_SECONDS: "3",
      FAULT_EVERY_SECONDS: "2",
      DOCKER_SOCKET: ENGINE_SOCKET,
    };
    const { run } = await composeUp(3, { env });
    await run("build", "load");
    await run("up", "--detach", "--no-deps", "faults");
    // Rejects unless it ends with 0: nothing missing, doubled or out of order.
    const said = await run(
      ...["run", "--rm", "--no-deps", "--use-aliases", "--no-TTY", "load"],
      ...["chat", "--duration", "60", "--rate", "2"],
    );
    expect(said).toMatch(/load\.acknowledged/);
    const faults = await run("logs", "--no-log-prefix", "faults");
    await run("stop", "faults");
    expect(faults).toMatch(/ kill-node /);
    expect(faults).toMatch(/ kill-redis /);
    expect(faults).not.toContain("Error");
    process.stdout.write(`${faults}${said.slice(said.lastIndexOf("Summary report"))}\n`);
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
    expect(inspect[0].Config.Env).toContain("MALLOC_ARENA_MAX=1");
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
