import { checkAnswers, checkBack, checkReadable } from "./invariants/answers.ts";
import { checkArrivals, countDeliveries } from "./invariants/delivery.ts";
import { checkComings, checkPresence } from "./invariants/presence.ts";
import { checkStorage } from "./invariants/storage.ts";
import { checkStreams } from "./invariants/streams.ts";
import type { ClientRecord, Observations, Rule, Violation } from "./observations.ts";

/** What a run comes to. */
export interface Verdict {
  readonly acknowledged: number;
  /** Acknowledged messages times the members that were there and not told otherwise, and how many of these pairs arrived. */
  readonly due: number;
  readonly arrived: number;
  /** Pairs that did not arrive, and the member was told. */
  readonly told: number;
  readonly doubled: number;
  readonly outOfOrder: number;
  readonly notStored: number;
  readonly presenceWrong: number;
  readonly notBack: number;
  readonly notAnswered: number;
  /** From a lost connection or a `resync` until the client is in the room again. */
  readonly recovery: { readonly count: number; readonly p50Ms: number; readonly p99Ms: number };
  /** In the order of their moments. */
  readonly violations: readonly Violation[];
}

/** Holds everything that was observed against everything that is promised. */
export function judge(observed: Observations): Verdict {
  const { arrived, told, missing, violations } = countDeliveries(observed);
  const all = [
    ...violations,
    ...checkStorage(observed),
    ...checkStreams(observed),
    ...checkPresence(observed),
    ...checkComings(observed),
    ...checkBack(observed),
    ...checkReadable(observed),
    ...checkAnswers(observed),
  ].sort((one, other) => one.at - other.at);
  const count = (...rules: Rule[]) => all.filter(({ rule }) => rules.includes(rule)).length;
  return {
    acknowledged: observed.sent.filter(({ acked }) => acked !== undefined).length,
    due: arrived + missing,
    arrived,
    told,
    doubled: count("doubled"),
    outOfOrder: count("out of order", "wrong stream"),
    notStored: count("not stored once"),
    presenceWrong: count("presence wrong", "shown leaving"),
    notBack: count("not back"),
    notAnswered: count("not answered"),
    recovery: recoveryOf(observed.clients),
    violations: all,
  };
}

/**
 * Of a run against the stock adapter: there is no log to compare with, and nobody is told anything. What can be seen is
 * what arrived, what came twice, and whether one sender's messages came in the order sent.
 */
export function judgeStock(observed: Observations): Verdict {
  const { arrived, missing, violations } = countDeliveries(observed, false);
  const order = checkArrivals(observed);
  const all = [...violations, ...order, ...checkBack(observed), ...checkAnswers(observed)];
  all.sort((one, other) => one.at - other.at);
  const count = (rule: Rule) => all.filter((violation) => violation.rule === rule).length;
  return {
    acknowledged: observed.sent.filter(({ acked }) => acked !== undefined).length,
    due: arrived + missing,
    arrived,
    told: 0,
    doubled: count("doubled"),
    outOfOrder: count("out of order"),
    notStored: 0,
    presenceWrong: 0,
    notBack: count("not back"),
    notAnswered: count("not answered"),
    recovery: recoveryOf(observed.clients),
    violations: all,
  };
}

function recoveryOf(clients: readonly ClientRecord[]): Verdict["recovery"] {
  const times = clients.flatMap(timesAway).sort((one, other) => one - other);
  const at = (share: number) => times[Math.max(0, Math.ceil(times.length * share) - 1)] ?? 0;
  return { count: times.length, p50Ms: at(0.5), p99Ms: at(0.99) };
}

function timesAway({ rooms, seen }: ClientRecord): number[] {
  return rooms.flatMap((room) => {
    const times: number[] = [];
    let joined = false;
    let lostAt: number | undefined;
    for (const each of seen) {
      const lost = each.kind === "disconnected" || (each.kind === "resync" && each.room === room);
      if (lost && joined) lostAt ??= each.at;
      if (each.kind !== "joined" || each.room !== room) continue;
      if (lostAt !== undefined) times.push(each.at - lostAt);
      lostAt = undefined;
      joined = true;
    }
    return times;
  });
}
