/** Most positions in one `check`: more would hold Redis and the event loop for too long. */
export const MOST_CHECKS = 500;
/** Most rooms that one call of `find_changed.lua` looks at: 0.4 ms of Redis, in which it serves nobody else. */
export const MOST_LOOKS = 100;
/** Most messages that one call of the append script stores: Redis serves nobody else meanwhile. */
export const MOST_APPENDS = 32;
/** How large the bodies of these may be together, in bytes; a larger one comes alone. */
export const MOST_APPENDED_BYTES = 256 * 1024;
/** By how much longer than asked the keys of a room live, so that not every append has to renew them. */
export const SPARE_LIFE_MS = 60_000;
/**
 * How often a comparison renews the lives of all keys of a room, in milliseconds. Between, an idle room is not written to, in
 * the append-only file and on replicas neither. The keys outlive what speaks of them by two hours and a half, of which the longest
 * grace takes one and a round of comparisons, on a node with 100,000 rooms, four minutes.
 */
export const RENEW_LIVES_EVERY_MS = 1_800_000;
