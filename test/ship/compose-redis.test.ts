import { chmodSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import type { Ack } from "../../src/protocol.ts";
import { composeUp, describeWithDocker, imageCanBeHad } from "../support/compose.ts";
import { eventually } from "../support/eventually.ts";
import type { Member } from "../support/member.ts";
import { enter, expectComplete } from "../support/talkers.ts";
import { stopsWithTest } from "../support/teardown.ts";

const UP_MS = 300_000;
const OPERATIONS = readFileSync(join(import.meta.dirname, "../../docs/operations.md"), "utf8");

const REDIS_IMAGES = ["valkey/valkey:8", "redis:7", "redis:8"];

describeWithDocker("docker compose with another Redis", async () => {
  for (const image of REDIS_IMAGES) {
    const title = `nodes chat as a user of their own who is refused nothing (REDIS_IMAGE=${image})`;
    if (!(await imageCanBeHad(image))) {
      it.skip(`${title} (skipped: the image is not here, and cannot be pulled)`, () => undefined);
      continue;
    }
    it(title, { timeout: UP_MS }, async () => {
      const { url, run } = await composeUp(2, { env: { REDIS_IMAGE: image } });
      const { members } = await enter(url, "chat:another");
      await Promise.all(members.map((member, who) => member.send(`m${who}`)));
      await expectComplete(members);
      const asOperator = (command: string) =>
        run(
          ...["exec", "--no-TTY", "redis", "sh", "-c"],
          `REDISCLI_AUTH=$(cat /secrets/redis-password) $(command -v valkey-cli || command -v redis-cli) ${command}`,
        );
      const clients = (await asOperator("client list")).split("\n").filter((line) => / name=roomcast-/.test(line));
      expect(clients).toHaveLength(2 * 3);
      for (const line of clients) expect(line).toContain(" user=roomcast ");
      expect((await asOperator("acl log")).trim()).toBe("");
      for (const [setting, value] of [
        ["appendonly", "yes"],
        ["maxmemory-policy", "noeviction"],
      ] as const) {
        expect(await asOperator(`config get ${setting}`)).toContain(value);
      }
    });
  }
});

describeWithDocker("a backup of Redis, restored by the commands of docs/operations.md", () => {
  it("[G5] has every message up to it; members of rooms that went on are told, and nobody is shown leaving", {
    timeout: UP_MS,
  }, async () => {
    const { url, run, shell } = await composeUp(2);
    const { members, flaps } = await enter(url, "chat:restored");
    await Promise.all(members.map((member, who) => member.send(`kept-${who}`)));
    const cli = (command: string) => `REDISCLI_AUTH=$(cat /secrets/redis-password) valkey-cli ${command}`;
    const asOperator = (command: string) => run("exec", "--no-TTY", "redis", "sh", "-c", cli(command));
    const before = await asOperator("lastsave");
    await asOperator("bgsave");
    await eventually(async () => expect(await asOperator("lastsave")).not.toBe(before), { withinMs: 20_000 });
    const folder = mkdtempSync(join(tmpdir(), "roomcast-backup-"));
    stopsWithTest(() => rmSync(folder, { recursive: true }));
    await run("cp", "redis:/data/dump.rdb", `${folder}/dump.rdb`);
    chmodSync(folder, 0o755);
    chmodSync(join(folder, "dump.rdb"), 0o644);
    await Promise.all(members.map((member, who) => member.send(`gone-${who}`)));

    const [, commands = ""] = /```sh\n( {2}docker compose stop redis\n.*?)```/s.exec(OPERATIONS) ?? [];
    expect(commands).toContain("restore.sock");
    await shell(commands.replaceAll("$PWD", folder).replaceAll("docker compose run", "docker compose run --no-TTY"));
    await eventually(() => expect(members.every(({ runs, joined }) => joined && runs.length === 2)).toBe(true), {
      withinMs: 30_000,
    });
    await Promise.all(members.map((member, who) => member.send(`after-${who}`)));
    expect(flaps).toEqual([]);
    const { socket } = members[0] as Member;
    // The connection that reads comes back by itself, and may be later than that of the joins.
    const history = async () => {
      const ack: Ack<"getHistory"> = await socket.emitWithAck("getHistory", { room: "chat:restored", limit: 100 });
      if (!ack.ok) throw new Error(ack.error.code);
      return ack.messages;
    };
    const messages = await eventually(history);
    const ids = messages.map(({ id }) => id.replace(/-\d+$/, ""));
    expect([...new Set(ids)].sort()).toEqual(["after", "kept"]);
    expect(ids).toHaveLength(2 * members.length);
  });
});
