// A process that makes load, told what to do by load.ts over IPC: one command at a time, one answer for each.
import type { Answer, Command } from "./command.ts";
import { Group } from "./group.ts";

const groups = new Map<string, Group>();

function groupOf(name: string): Group {
  const group = groups.get(name) ?? new Group(name);
  groups.set(name, group);
  return group;
}

async function carryOut(command: Command): Promise<unknown> {
  const group = groupOf(command.group);
  switch (command.do) {
    case "open":
      return await group.open(command);
    case "publish":
      return await group.publish(command);
    case "drop":
      return await group.drop(command.how);
  }
}

function answer(value: Answer): void {
  process.send?.(value);
}

process.on("message", (command: Command) => {
  carryOut(command).then(
    (result) => answer({ ok: true, result }),
    (error: unknown) => answer({ ok: false, error: error instanceof Error ? error.message : String(error) }),
  );
});
process.once("disconnect", () => process.exit(0));
