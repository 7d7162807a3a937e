/** How long to wait before trying again, in milliseconds: longer each time, and never the same for all. */
export function backoff(attempt, { first = 500, most = 8_000 } = {}) {
  return Math.min(first * 2 ** attempt, most) * (0.5 + Math.random() / 2);
}
