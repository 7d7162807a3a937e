import type { ClientRecord, Observations, Violation } from "../observations.ts";

/** A user who has been away for so long may be shown leaving: a little less than a lease, which is shorter than the grace. */
const MAY_LEAVE_AFTER_MS = 4_500;
/** How much later than the leaving itself somebody may see it. */
const NEWS_WITHIN_MS = 3_000;

/** At the end a room's members are those who are in it, to whoever asks and in every member's own picture. */
export function checkPresence({ clients, rooms }: Observations): Violation[] {
  const violations: Violation[] = [];
  for (const [room, { members }] of rooms) {
    const here = clients.filter(({ end }) => end.has(room));
    const expected = new Set(here.map(({ user }) => user));
    const compare = (shown: readonly string[], whose: string, client?: string) => {
      const ghosts = shown.filter((user) => !expected.has(user));
      const missing = [...expected].filter((user) => !shown.includes(user));
      if (ghosts.length + missing.length === 0) return;
      const text = `${whose} shows ${list(ghosts)}, who are not there, and not ${list(missing)}, who are`;
      violations.push({ rule: "presence wrong", at: Number.POSITIVE_INFINITY, text, room, ...(client && { client }) });
    };
    compare(members, "getMembers");
    for (const client of here) compare(client.end.get(room)?.members ?? [], "its own picture", client.name);
  }
  return violations;
}

/** Nobody who stayed is shown leaving or joining, and whoever goes is announced once. */
export function checkComings(observed: Observations): Violation[] {
  return observed.clients.flatMap((viewer) => viewer.rooms.flatMap((room) => comingsSeenBy(observed, viewer, room)));
}

function comingsSeenBy(observed: Observations, viewer: ClientRecord, room: string): Violation[] {
  const violations: Violation[] = [];
  const known = new Set<string>();
  const wrong = (at: number, text: string) =>
    violations.push({ rule: "shown leaving", at, text, client: viewer.name, room });
  for (const seen of viewer.seen) {
    if (!("room" in seen) || seen.room !== room) continue;
    if (seen.kind === "joined" || seen.kind === "members") {
      known.clear();
      for (const user of seen.members) known.add(user);
    } else if (seen.kind === "userJoined") {
      if (known.has(seen.user)) wrong(seen.at, `${seen.user} is shown joining, and was there`);
      known.add(seen.user);
    } else if (seen.kind === "userLeft") {
      if (!known.delete(seen.user)) wrong(seen.at, `${seen.user} is shown leaving, and was not there`);
      else if (!mayHaveLeft(observed, seen.user, room, newsFrom(observed, viewer, seen.at), seen.at)) {
        wrong(seen.at, `${seen.user} is shown leaving, and stayed`);
      }
    }
  }
  return violations;
}

/** From when on that may be which a viewer is shown at a moment: a node that stood still tells late what it then hears. */
function newsFrom({ faults }: Observations, { seen }: ClientRecord, at: number): number {
  const node = seen.findLast((each) => each.kind === "connected" && each.at <= at);
  const stops = faults.filter(({ fault, from, until = at }) => {
    if (fault.kind !== "freeze node" || node?.kind !== "connected") return false;
    return node.node === `node-${fault.node + 1}` && from <= at && until >= at - NEWS_WITHIN_MS;
  });
  return Math.min(at, ...stops.map(({ from }) => from)) - NEWS_WITHIN_MS;
}

/** Whether all connections of a user had been away long enough, at some moment between `since` and `at`. */
function mayHaveLeft(
  { clients, faults }: Observations,
  user: string,
  room: string,
  since: number,
  at: number,
): boolean {
  const frozen = (node: string, from: number, until: number) =>
    faults.flatMap(({ fault, ...when }) => {
      if (fault.kind !== "freeze node" || `node-${fault.node + 1}` !== node) return [];
      return [{ from: Math.max(from, when.from), until: Math.min(until, (when.until ?? at) + NEWS_WITHIN_MS) }];
    });
  return clients
    .filter((client) => client.user === user && client.rooms.includes(room))
    .every((client) => {
      const absences = absencesOf(client, room, frozen);
      return absences.some(({ from, until, meant }) => {
        const may = meant ? from : from + MAY_LEAVE_AFTER_MS;
        return may <= Math.min(at, until) && until >= since;
      });
    });
}

interface Absence {
  readonly from: number;
  readonly until: number;
  /** It went by itself: there is no grace. */
  readonly meant: boolean;
}

/** When a client was out of a room, as the service may see it: not connected, gone for good, or on a node that stood still. */
function absencesOf(
  client: ClientRecord,
  room: string,
  frozen: (node: string, from: number, until: number) => { from: number; until: number }[],
): Absence[] {
  const absences: Absence[] = [];
  let awaySince: number | undefined = 0;
  let node: { name: string; since: number } | undefined;
  /** The times at which the node stood still, from the client's coming until `at`. */
  const leaveNode = (at: number) => {
    const gaps = node === undefined ? [] : frozen(node.name, node.since, at);
    absences.push(...gaps.map((gap) => ({ ...gap, meant: false })));
    node = undefined;
    return gaps;
  };
  for (const seen of client.seen) {
    if (seen.kind === "connected") node = { name: seen.node, since: seen.at };
    if (seen.kind === "disconnected") {
      // Lost by a node that stands still: to the others it has been away since that began, and the lease runs from there.
      const still = leaveNode(seen.at).find(({ from, until }) => from < seen.at && until >= seen.at);
      awaySince ??= still?.from ?? seen.at;
    }
    if (seen.kind === "joined" && seen.room === room && awaySince !== undefined) {
      absences.push({ from: awaySince, until: seen.at, meant: false });
      awaySince = undefined;
    }
  }
  leaveNode(Number.POSITIVE_INFINITY);
  if (awaySince !== undefined) absences.push({ from: awaySince, until: Number.POSITIVE_INFINITY, meant: false });
  const { departed } = client;
  if (departed !== undefined) {
    absences.push({ from: departed.at, until: Number.POSITIVE_INFINITY, meant: departed.how !== "vanishes" });
  }
  return absences;
}

function list(users: readonly string[]): string {
  return users.length === 0 ? "nobody" : users.join(", ");
}
