import { describe } from "vitest";
import { MemoryChannels } from "../../src/log/memory-channels.ts";
import { MemoryLog } from "../../src/log/memory-log.ts";
import { MemoryBans } from "../../src/moderation/memory-bans.ts";
import { MemoryDirectory } from "../../src/presence/memory-directory.ts";
import { MemoryPresence } from "../../src/presence/memory-presence.ts";
import { bansContract } from "./bans-contract.ts";
import { directoryContract } from "./directory-contract.ts";
import { logContract } from "./log-contract.ts";
import { presenceContract } from "./presence-contract.ts";
import type { Ear, World } from "./world.ts";

async function memoryWorld({ dedupeMs = 600_000 } = {}): Promise<World> {
  const channels = new MemoryChannels();
  const log = new MemoryLog({ channels, dedupeMs });
  const bans = new MemoryBans();
  const presence = new MemoryPresence(log, channels, bans);
  const hear = async (room: string): Promise<Ear> => {
    const ear: Ear = { entries: [], changes: [] };
    await channels.open(room, {
      entry: (entry) => void ear.entries.push(entry),
      presence: (change) => void ear.changes.push(change),
      broadcast: () => undefined,
      resumed: () => undefined,
    });
    return ear;
  };
  return { log, presence, bans, directory: new MemoryDirectory(log, presence), hear };
}

describe("the log in memory", () => logContract(memoryWorld));
describe("bans in memory", () => bansContract(memoryWorld));
describe("presence in memory", () => presenceContract(memoryWorld));
describe("the directory of rooms in memory", () => directoryContract(memoryWorld));
