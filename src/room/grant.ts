import type { Application, Decision } from "../auth/application.ts";
import type { Question } from "../auth/signed-question.ts";
import type { Connection, RoomGrant } from "./connection.ts";
import { allows, mayAsk, type RoomContext } from "./context.ts";
import { remove } from "./removal.ts";

/** Between two tries where the application's server does not decide, in milliseconds. */
const RETRY_MS = 500;

/** A timer holds on to the connection, which may be gone: for so long at most, in milliseconds. */
const LONGEST_STEP_MS = 10_000;

/**
 * Keeps a connection's standing in a room that the application allowed: its server is asked again shortly before the
 * grant ends, so that no request has to wait. Where it says no, or nothing until the end, the connection is out; where the token or the
 * room's type says something of the room by now, that is what counts.
 */
export function keepGrant(context: RoomContext, connection: Connection, room: string, grant: RoomGrant): void {
  const { application } = context;
  if (application === undefined) return;
  const isCurrent = () => connection.joinedIn(room)?.grant === grant;
  const left = () => Math.max(0, grant.until - performance.now());
  const leaveForbidden = () => remove(context, connection, { room, reason: "forbidden" });
  const lookIn = (ms: number) => {
    const step = Math.min(ms, LONGEST_STEP_MS);
    const timer = setTimeout(() => {
      if (!isCurrent()) return;
      if (ms > step) lookIn(ms - step);
      else look().catch(() => leaveForbidden());
    }, step);
    timer.unref();
  };
  const look = async () => {
    if (!mayAsk(context, connection, room, "join")) {
      grant.until = Number.NEGATIVE_INFINITY;
      if (!allows(context, connection, room, "join")) leaveForbidden();
      return;
    }
    const question = { user: connection.identity.user, room, permission: "join" } as const;
    const decision = await decideWithin(application, question, grant.until);
    if (!isCurrent()) return;
    if (decision !== undefined) {
      grant.bits = decision.bits;
      grant.until = decision.until;
    }
    if (!allows(context, connection, room, "join")) leaveForbidden();
    else if (decision === undefined) lookIn(Math.min(RETRY_MS, left()));
    else lookIn(left() - application.aheadMs(left()));
  };
  lookIn(left() - application.aheadMs(left()));
}

/** Undefined where the application does not decide until then, by the monotonic clock: what it allowed holds no longer. */
async function decideWithin(
  application: Application,
  question: Question,
  until: number,
): Promise<Decision | undefined> {
  const { promise: ended, resolve: end } = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => end(undefined), Math.max(0, until - performance.now())).unref();
  try {
    return await Promise.race([application.decide(question, until), ended]);
  } catch {
    return undefined;
  } finally {
    clearTimeout(timer);
  }
}
