import { RoomcastError } from "../errors.ts";
import type { DeadPage } from "../payloads.ts";
import type { Handlers } from "./call.ts";

/** What `/v1` needs of the dead letters. */
export interface DeadLettersOfApplication {
  list(cursor: string | undefined, limit: number): Promise<DeadPage>;
  replay(id: string): Promise<boolean>;
}

export function webhookCalls(dead: DeadLettersOfApplication): Pick<Handlers, "listDeadWebhooks" | "replayDeadWebhook"> {
  return {
    listDeadWebhooks: ({ query: { cursor, limit } }) => dead.list(cursor, limit),
    replayDeadWebhook: async ({ params: { id } }) => {
      if (!(await dead.replay(id))) throw new RoomcastError("not_found", `no dead delivery has the id ${id}`);
      return {};
    },
  };
}
