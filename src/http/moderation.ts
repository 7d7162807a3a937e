import { type Request, type RequestHandler, Router } from "express";
import * as z from "zod";
import { RoomcastError } from "../errors.ts";
import { checkFields } from "../fields.ts";
import { banSecondsSchema, roomSchema, userSchema } from "../protocol.ts";

/** What `/v1` needs of `Moderation`. */
export interface ModerationOfRooms {
  kick(room: string, user: string, banSeconds: number | undefined): Promise<number | undefined>;
  unban(room: string, user: string): Promise<void>;
  close(room: string): Promise<void>;
  disconnect(user: string, blockSeconds: number | undefined): Promise<number | undefined>;
  unblock(user: string): Promise<void>;
}

/** In a query numbers are text. */
const secondsSchema = z
  .string()
  .regex(/^\d{1,9}$/, "must be a whole number")
  .transform(Number)
  .pipe(banSecondsSchema)
  .optional();
const roomPath = z.object({ room: roomSchema });
const memberPath = z.object({ room: roomSchema, user: userSchema });
const userPath = z.object({ user: userSchema });

/** Paths and queries of one call, checked: path fields first. Throws `bad_request` naming the field. */
function checked<Schema extends z.ZodType>(schema: Schema, input: unknown): z.output<Schema> {
  const result = checkFields(schema, input, "the request");
  if (!result.ok) throw new RoomcastError("bad_request", result.problems.join("; "));
  return result.value;
}

/** Answers what the work resolves with, or `unavailable` at the deadline; the work itself goes on. */
function within(timeoutMs: number, work: (request: Request) => Promise<object>): RequestHandler {
  return async (request, response) => {
    const { promise, reject } = Promise.withResolvers<never>();
    const deadline = setTimeout(() => reject(new RoomcastError("unavailable")), timeoutMs);
    try {
      response.json(await Promise.race([work(request), promise]));
    } finally {
      clearTimeout(deadline);
    }
  };
}

/** The moderating calls: each answers 200 once it is stored, and every node carries it out within a second. */
export function moderationRoutes(moderation: ModerationOfRooms, timeoutMs: number): Router {
  const router = Router();
  const calls = (work: (request: Request) => Promise<object>) => within(timeoutMs, work);
  router.delete(
    "/rooms/:room/members/:user",
    calls(async ({ params, query }) => {
      const { room, user } = checked(memberPath, params);
      const { banSeconds } = checked(z.object({ banSeconds: secondsSchema }), query);
      return ended(await moderation.kick(room, user, banSeconds));
    }),
  );
  router.delete(
    "/rooms/:room/bans/:user",
    calls(async ({ params }) => {
      const { room, user } = checked(memberPath, params);
      await moderation.unban(room, user);
      return {};
    }),
  );
  router.delete(
    "/rooms/:room",
    calls(async ({ params }) => {
      await moderation.close(checked(roomPath, params).room);
      return {};
    }),
  );
  router.delete(
    "/users/:user/connections",
    calls(async ({ params, query }) => {
      const { user } = checked(userPath, params);
      const { blockSeconds } = checked(z.object({ blockSeconds: secondsSchema }), query);
      return ended(await moderation.disconnect(user, blockSeconds));
    }),
  );
  router.delete(
    "/users/:user/block",
    calls(async ({ params }) => {
      await moderation.unblock(checked(userPath, params).user);
      return {};
    }),
  );
  return router;
}

function ended(until: number | undefined): object {
  return until === undefined ? {} : { until };
}
