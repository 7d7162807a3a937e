import type { Handlers } from "./call.ts";

/** What `/v1` needs of `Moderation`. */
export interface ModerationOfRooms {
  kick(room: string, user: string, banSeconds: number | undefined): Promise<number | undefined>;
  unban(room: string, user: string): Promise<void>;
  close(room: string): Promise<void>;
  disconnect(user: string, blockSeconds: number | undefined): Promise<number | undefined>;
  unblock(user: string): Promise<void>;
}

type Moderating = "kickMember" | "unbanMember" | "closeRoom" | "disconnectUser" | "unblockUser";

/** The moderating calls: each answers 200 once it is stored, and every node carries it out within a second. */
export function moderatingCalls(moderation: ModerationOfRooms): Pick<Handlers, Moderating> {
  return {
    kickMember: async ({ params: { room, user }, query }) => ended(await moderation.kick(room, user, query.banSeconds)),
    unbanMember: async ({ params: { room, user } }) => {
      await moderation.unban(room, user);
      return {};
    },
    closeRoom: async ({ params: { room } }) => {
      await moderation.close(room);
      return {};
    },
    disconnectUser: async ({ params: { user }, query }) => ended(await moderation.disconnect(user, query.blockSeconds)),
    unblockUser: async ({ params: { user } }) => {
      await moderation.unblock(user);
      return {};
    },
  };
}

function ended(until: number | undefined): { until?: number } {
  return until === undefined ? {} : { until };
}
