import type { Ack, ServerEvents } from "../../src/protocol.ts";
import type { Witness } from "./witness.ts";

const SINGLE = new Set(["userJoined", "userLeft", "userUpdated"]);

/**
 * Where a witness would have had to call `getMembers`, by the rule of the protocol: an event of the room's presence that
 * is more than one version ahead of what it has; and events that are no news. Empty where all is well.
 */
export function brokenVersions({ seen }: Witness, room: string): string[] {
  const broken: string[] = [];
  let has: number | undefined;
  const single = new Set<number>();
  for (const { name, payload } of seen) {
    if (name === "ack joinRoom") {
      const ack = payload as Ack<"joinRoom">;
      if (!ack.ok || ack.room !== room) continue;
      has = ack.version;
      single.clear();
    } else if (name === "ack leaveRoom") {
      if ((payload as Ack<"leaveRoom">).ok) has = undefined;
    } else if (SINGLE.has(name) || name === "presence") {
      const event = payload as ServerEvents["presence"];
      if (event.room !== room) continue;
      if (has === undefined) broken.push(`${name} ${event.version} while out of the room`);
      else if (name === "presence" ? event.version < has : event.version > has + 1 || single.has(event.version)) {
        broken.push(`${name} ${event.version} after ${has}`);
      }
      if (name !== "presence") single.add(event.version);
      has = Math.max(has ?? 0, event.version);
    }
  }
  return broken;
}

/** Who is in the room, by what a witness was told and nothing else. */
export function membersToldTo({ seen }: Witness, room: string): { ids: string[]; memberCount: number } {
  const ids = new Set<string>();
  let memberCount = 0;
  for (const { name, payload } of seen) {
    if (name === "ack joinRoom") {
      const ack = payload as Ack<"joinRoom">;
      if (!ack.ok || ack.room !== room) continue;
      ids.clear();
      for (const { id } of ack.members) ids.add(id);
      memberCount = ack.memberCount;
    } else if (name === "userJoined" || name === "userLeft") {
      const event = payload as ServerEvents["userJoined"];
      if (event.room !== room) continue;
      if (name === "userJoined") ids.add(event.user.id);
      else ids.delete(event.user.id);
      memberCount = event.memberCount;
    } else if (name === "presence") {
      const event = payload as ServerEvents["presence"];
      if (event.room !== room) continue;
      for (const { id } of event.joined) ids.add(id);
      for (const { id } of event.left) ids.delete(id);
      memberCount = event.memberCount;
    }
  }
  return { ids: [...ids].sort(), memberCount };
}
