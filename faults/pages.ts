import type { Ack, Message, WireMember } from "../src/protocol.ts";
import type { Line } from "./line.ts";
import type { Entry, RoomAtEnd } from "./observations.ts";

const PAGE = 500;

/** Everybody in a room, page by page; nothing where a page could not be had. */
export async function readMembers(
  line: Line,
  room: string,
): Promise<{ members: WireMember[]; version: number } | undefined> {
  const members: WireMember[] = [];
  let cursor: string | undefined;
  do {
    const request = { room, ...(cursor !== undefined && { cursor }) };
    const answer = await line.request<Ack<"getMembers">>("getMembers", request);
    if (answer.kind !== "answered" || !answer.reply.ok) return undefined;
    members.push(...answer.reply.members);
    ({ cursor } = answer.reply);
    if (cursor === undefined) return { members, version: answer.reply.version };
  } while (cursor !== undefined);
  return undefined;
}

export function entryOf({ seq, ts, id, from }: Message): Entry {
  return { seq, ts, id, user: from.id };
}

/** The whole log of a room, page by page; nothing where a page could not be had. */
export async function readLog(line: Line, room: string): Promise<Pick<RoomAtEnd, "position" | "log"> | undefined> {
  const log: Entry[] = [];
  for (;;) {
    const after = log.at(-1)?.seq ?? 0;
    const answer = await line.request<Ack<"getHistory">>("getHistory", { room, after, limit: PAGE });
    if (answer.kind !== "answered" || !answer.reply.ok) return undefined;
    const { messages, position, more } = answer.reply;
    log.push(...messages.map(entryOf));
    if (!more) return { position, log };
  }
}
