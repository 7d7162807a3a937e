/** Most positions in one `check`: more would hold Redis and the event loop for too long. */
export const MOST_CHECKS = 500;
/** By how much longer than asked the keys of a room live, so that not every append has to renew them. */
export const SPARE_LIFE_MS = 60_000;
