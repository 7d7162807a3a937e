import { growth } from "./growth.ts";
import { huge } from "./huge.ts";
import { idleNode } from "./idle-node.ts";
import { join } from "./join.ts";
import { latency } from "./latency.ts";
import { memory } from "./memory.ts";
import { reconnect } from "./reconnect.ts";
import { room } from "./room.ts";
import type { Scenario } from "./scenario.ts";
import { small } from "./small.ts";

/** In the order in which they run. */
export const SCENARIOS: readonly Scenario[] = [room, small, idleNode, latency, join, reconnect, memory, huge, growth];
