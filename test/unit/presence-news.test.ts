import { describe, expect, it, vi } from "vitest";
import type { Frame } from "../../src/feed/frame.ts";
import { PresenceNews } from "../../src/feed/presence-news.ts";
import type { PresenceChange } from "../../src/presence/presence.ts";
import type { ServerEvents } from "../../src/protocol.ts";
import { stopsWithTest } from "../support/teardown.ts";

const MEMBERS = 200;
/** A large state, of which fifty are more than one frame may have. */
const STATE = { text: "x".repeat(5_000) };
type Told = [name: string, event: ServerEvents["presence"]];

/** A room past the bound of single events; `tell` lets the second of a summary pass. */
function crowded() {
  vi.useFakeTimers();
  stopsWithTest(() => void vi.useRealTimers());
  const told: Told[] = [];
  const news = new PresenceNews(
    "chat:1",
    { upToMembers: 100, againBelowMembers: 80 },
    { tell: (frame: Frame) => told.push(JSON.parse(frame.text.slice(1)) as Told) },
  );
  let version = 10;
  const hear = (kind: PresenceChange["kind"], id: string, afterGap = false, state?: Record<string, unknown>) => {
    version += 1;
    const user = state === undefined ? { id } : { id, state };
    news.hear({ kind, user, memberCount: MEMBERS, version, by: "x" }, afterGap);
  };
  const tell = () => {
    vi.advanceTimersByTime(1_000);
    return told.splice(0);
  };
  const ids = (members: ServerEvents["presence"]["joined"]) => members.map(({ id }) => id);
  return { hear, tell, ids };
}

describe("summaries of a large room's presence", () => {
  /*
   * Somebody who asks for the members between the two has a list that knows the first one only: a summary that names nobody
   * would leave it wrong, with the right version.
   */
  it("[G4] the last word on a user is told, also where it takes back one of the same second", () => {
    const { hear, tell, ids } = crowded();
    hear("userLeft", "ada");
    hear("userJoined", "ben");
    hear("userJoined", "ada");
    hear("userLeft", "ben");
    const [[name, event] = expect.fail("nothing was told")] = tell();
    expect(name).toBe("presence");
    expect([ids(event.joined), ids(event.left), event.version, event.partial]).toEqual([
      ["ada"],
      ["ben"],
      14,
      undefined,
    ]);
  });

  it("[G4] say that names are missing where changes were not heard, once", () => {
    const { hear, tell, ids } = crowded();
    hear("userJoined", "ada", true);
    hear("userJoined", "ben");
    expect(tell()).toMatchObject([["presence", { partial: true, version: 12 }]]);
    hear("userJoined", "cleo");
    const [[, event] = expect.fail("nothing was told")] = tell();
    expect(event.partial).toBeUndefined();
    expect(ids(event.joined)).toEqual(["cleo"]);
  });

  it("[G9] name at most 50 each way, whoever comes and goes among them", () => {
    const { hear, tell } = crowded();
    for (let index = 0; index < 50; index++) hear("userJoined", `u${index}`);
    hear("userLeft", "u0");
    hear("userJoined", "u0");
    hear("userJoined", "u1");
    expect(tell()).toMatchObject([["presence", { joined: { length: 50 }, left: { length: 0 } }]]);
    for (let index = 0; index < 51; index++) hear("userJoined", `v${index}`);
    expect(tell()).toMatchObject([["presence", { partial: true, joined: { length: 50 } }]]);
  });

  it("[G9] name nobody where the states of those whom they name would be too much for one frame, and say so", () => {
    const { hear, tell } = crowded();
    for (let index = 0; index < 30; index++) hear("userJoined", `u${index}`, false, STATE);
    const [[, few] = expect.fail("nothing was told")] = tell();
    expect(few.joined).toHaveLength(30);
    expect(few.partial).toBeUndefined();
    for (let index = 0; index < 45; index++) hear("userJoined", `v${index}`, false, STATE);
    expect(tell()).toMatchObject([
      ["presence", { partial: true, joined: { length: 0 }, memberCount: MEMBERS, version: 85 }],
    ]);
  });
});
