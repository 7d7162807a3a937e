import type { Observations, RequestRecord, Seen, Violation } from "../observations.ts";

/** The promise of G5 for a whole request. */
const PROMISED_MS = 2_000;
/** For the way there and back on a machine that does everything at once. */
const SLACK_MS = 1_000;

/** Nobody stays away: whoever did not go for good is in all of its rooms at the end. */
export function checkBack({ clients }: Observations): Violation[] {
  return clients
    .filter(({ departed }) => departed === undefined)
    .flatMap(({ name, rooms, end, seen }) =>
      rooms
        .filter((room) => !end.has(room))
        .map((room): Violation => {
          const at = seen.findLast(({ kind }) => kind === "disconnected" || kind === "resync")?.at ?? 0;
          return { rule: "not back", at, text: `did not come back ${lastWord(seen)}`, client: name, room };
        }),
    );
}

/** What was the last that it saw of a node. */
function lastWord(seen: readonly Seen[]): string {
  const last = seen.findLast(({ kind }) => ["connected", "disconnected", "ending", "refused", "resync"].includes(kind));
  switch (last?.kind) {
    case "connected":
      return `into it, connected to ${last.node}`;
    case "disconnected":
    case "resync":
      return `after ${last.kind}: ${last.reason}`;
    case "ending":
    case "refused":
      return `after ${last.kind}: ${last.code}`;
    default:
      return "at all";
  }
}

/** At the end every room can be read. */
export function checkReadable({ clients, rooms }: Observations): Violation[] {
  const missing = [...new Set(clients.flatMap((client) => client.rooms))].filter((room) => !rooms.has(room));
  const at = Number.POSITIVE_INFINITY;
  return missing.map((room) => ({ rule: "not back", at, text: "cannot be read at the end", room }));
}

/** No request waits for longer than the promise, unless its connection was lost, or somebody stood still who had to answer or hear. */
export function checkAnswers(observed: Observations): Violation[] {
  const mostMs = PROMISED_MS + SLACK_MS + observed.kitStallMs;
  return observed.requests
    .filter(({ outcome, afterMs }) => outcome === "unanswered" || (outcome !== "lost" && afterMs > mostMs))
    .filter((request) => !stoodStill(observed, request))
    .map(({ client, name, at, outcome, afterMs }) => ({
      rule: "not answered",
      at,
      text: `${name} was ${outcome === "unanswered" ? "not answered" : `answered (${outcome}) only`} after ${Math.round(afterMs)} ms`,
      client,
    }));
}

function stoodStill({ faults, clients }: Observations, request: RequestRecord): boolean {
  const client = clients.find(({ name }) => name === request.client);
  const node = client?.seen.findLast((seen) => seen.kind === "connected" && seen.at <= request.at);
  return faults.some(({ fault, from, until = Number.POSITIVE_INFINITY }) => {
    if (request.at + request.afterMs < from || request.at > until + PROMISED_MS) return false;
    if (fault.kind === "freeze node") return node?.kind === "connected" && node.node === `node-${fault.node + 1}`;
    return fault.kind === "stop reading" && `c${fault.client}` === request.client;
  });
}
