import type { Decision } from "../auth/application.ts";
import type { Connection, RoomGrant } from "./connection.ts";
import { allows, type RoomContext } from "./context.ts";
import { remove } from "./removal.ts";

/** How long before its end a grant is asked for again, in milliseconds: longer than a question may take. */
const AHEAD_MS = 2_000;
/** Between two tries where the application's server does not decide, in milliseconds. */
const RETRY_MS = 500;

/** A timer holds on to the connection, which may be gone: for so long at most, in milliseconds. */
const LONGEST_STEP_MS = 10_000;

/**
 * Keeps a connection's standing in a room that the application allowed: its server is asked again shortly before the
 * grant ends, so that no request has to wait. Where it says no, or nothing until the end, the connection is out.
 */
export function keepGrant(context: RoomContext, connection: Connection, room: string, grant: RoomGrant): void {
  const { application } = context;
  if (application === undefined) return;
  const isCurrent = () => connection.joinedIn(room)?.grant === grant;
  const left = () => grant.until - performance.now();
  const leaveForbidden = () => remove(context, connection, { room, reason: "forbidden" });
  const lookIn = (ms: number) => {
    const step = Math.min(Math.max(0, ms), LONGEST_STEP_MS);
    const timer = setTimeout(() => {
      if (!isCurrent()) return;
      if (ms > step) lookIn(ms - step);
      else look().catch(() => leaveForbidden());
    }, step);
    timer.unref();
  };
  const look = async () => {
    const question = { user: connection.identity.user, room, permission: "join" } as const;
    let decision: Decision | undefined;
    try {
      decision = await application.decide(question, grant.until);
    } catch {
      // Not decided: what was allowed holds until its end.
    }
    if (!isCurrent()) return;
    if (decision !== undefined) {
      grant.bits = decision.bits;
      grant.until = decision.until;
    }
    if (left() <= 0 || !allows(context, connection, room, "join")) leaveForbidden();
    else if (decision === undefined) lookIn(Math.min(RETRY_MS, left()));
    else lookIn(left() - Math.min(AHEAD_MS, left() / 2));
  };
  lookIn(left() - Math.min(AHEAD_MS, left() / 2));
}
