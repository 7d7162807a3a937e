import { describe } from "vitest";
import { MemoryChannels } from "../../src/log/memory-channels.ts";
import { MemoryLog } from "../../src/log/memory-log.ts";
import { MemoryPresence } from "../../src/presence/memory-presence.ts";
import { logContract } from "./log-contract.ts";
import { presenceContract } from "./presence-contract.ts";
import type { Ear, World } from "./world.ts";

async function memoryWorld({ dedupeMs = 600_000 } = {}): Promise<World> {
  const channels = new MemoryChannels();
  const log = new MemoryLog({ channels, dedupeMs });
  const presence = new MemoryPresence(log, channels);
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
  return { log, presence, hear };
}

describe("the log in memory", () => logContract(memoryWorld));
describe("presence in memory", () => presenceContract(memoryWorld));
