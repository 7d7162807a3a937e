import type { Draft, Head, Position, Retention, SeenRoom } from "../../src/log/room-log.ts";
import type { JoinRequest } from "../../src/presence/presence.ts";

export const RETENTION: Retention = { maxMessages: 1_000, maxBytes: 8 * 1024 * 1024, maxAgeMs: 3_600_000 };
export const WIDE = { maxMessages: 500, maxBytes: 1024 * 1024 };

interface DraftOptions {
  space?: "u" | "k";
  sender?: string;
  /** JSON text. */
  data?: string;
  known?: Position;
  retention?: Partial<Retention>;
}

export function draft(id: string, options: DraftOptions = {}): Draft {
  const { space = "u", sender = "ada", data = "null", known, retention } = options;
  const from = JSON.stringify({ id: sender });
  return {
    space,
    sender,
    id,
    rest: `"room":"chat:1","id":${JSON.stringify(id)},"from":${from},"event":"message","data":${data}}`,
    known,
    retention: { ...RETENTION, ...retention },
  };
}

/** A room as a node takes it to be that was told this head. */
export function seenAs(head: Head | undefined, room: string, retention: Retention = RETENTION): SeenRoom {
  const { epoch = "", seq = 0, ts = 0, version = 0, oldest = "" } = head ?? {};
  return { room, position: { epoch, seq, ts }, version, oldest, retention };
}

export function join(user: string, connection: string, options: Partial<JoinRequest> = {}): JoinRequest {
  return {
    room: "chat:1",
    connection,
    attempt: 1,
    user,
    name: undefined,
    state: undefined,
    maxMembers: 0,
    retention: RETENTION,
    ...options,
  };
}
