/** Most positions in one `check`: more would hold Redis and the event loop for too long. */
export const MOST_CHECKS = 500;
/** Most messages that one call of the append script stores: Redis serves nobody else meanwhile. */
export const MOST_APPENDS = 32;
/** How large the bodies of these may be together, in bytes; a larger one comes alone. */
export const MOST_APPENDED_BYTES = 256 * 1024;
/** By how much longer than asked the keys of a room live, so that not every append has to renew them. */
export const SPARE_LIFE_MS = 60_000;
