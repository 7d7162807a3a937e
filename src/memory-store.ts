import type { Config } from "./config/config.ts";
import { MemoryChannels } from "./log/memory-channels.ts";
import { MemoryLog } from "./log/memory-log.ts";
import { MemoryBans } from "./moderation/memory-bans.ts";
import type { NodeLoad } from "./nodes/node-list.ts";
import { MemoryDirectory } from "./presence/memory-directory.ts";
import { MemoryPresence } from "./presence/memory-presence.ts";
import type { Store } from "./store.ts";

/** The id of the one node there is where nothing is shared. */
const ONLY_NODE = "memory";

/** Everything in this process: one node, gone with it. */
export function memoryStore({ dedupeSeconds }: Config): Store {
  const channels = new MemoryChannels();
  const log = new MemoryLog({ channels, dedupeMs: dedupeSeconds * 1_000 });
  const nothing = () => Promise.resolve();
  const bans = new MemoryBans();
  const presence = new MemoryPresence(log, channels, bans);
  let load: (() => NodeLoad) | undefined;
  return {
    log,
    presence,
    bans,
    index: presence,
    directory: new MemoryDirectory(log, presence),
    nodes: {
      list: async () => ({ nodes: load === undefined ? [] : [{ id: ONLY_NODE, ...load() }], missing: [] }),
    },
    channels,
    pulse: { hearing: true, silentMs: 0, unwrittenMs: 0, refusal: undefined },
    health: { subscriptions: 0, leaseHeldMs: 0, membersSwept: 0, memory: undefined, connected: () => undefined },
    webhooks: undefined,
    serve: (_io, events) => {
      load = events.load;
    },
    ready: nothing,
    endStoppedGrace: nothing,
    handOver: nothing,
    close: nothing,
  };
}
