/** Longer than Engine.IO's ping interval and timeout together: a polling client is heard of at least that often. */
export const SESSION_IDLE_MS = 120_000;

/**
 * Which Engine.IO session lives where: learnt from the handshake's cookie `io_sid`, as HAProxy's stick table does.
 * Entries nobody asked for within `SESSION_IDLE_MS` are dropped.
 */
export class Sessions<Place> {
  /** Ordered by last use, oldest first. */
  readonly #places = new Map<string, { place: Place; usedAt: number }>();
  readonly #now: () => number;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  get size(): number {
    return this.#places.size;
  }

  learn(sid: string, place: Place): void {
    this.#dropIdle();
    this.#places.delete(sid);
    this.#places.set(sid, { place, usedAt: this.#now() });
  }

  /** The place of a session, which counts as used now. */
  find(sid: string): Place | undefined {
    const entry = this.#places.get(sid);
    if (entry !== undefined) this.learn(sid, entry.place);
    return entry?.place;
  }

  /** Drops every session of a place that is gone. */
  forget(place: Place): void {
    for (const [sid, entry] of this.#places) if (entry.place === place) this.#places.delete(sid);
  }

  #dropIdle(): void {
    const oldest = this.#now() - SESSION_IDLE_MS;
    for (const [sid, entry] of this.#places) {
      if (entry.usedAt > oldest) return;
      this.#places.delete(sid);
    }
  }
}

/** The session that a handshake's response begins, from its `Set-Cookie`. */
export function sidOfCookies(setCookie: readonly string[] | undefined): string | undefined {
  for (const cookie of setCookie ?? []) {
    const match = /^io_sid=([^;\s]+)/.exec(cookie);
    if (match !== null) return match[1];
  }
  return undefined;
}

/** The session that an Engine.IO request belongs to; nothing for a handshake, or for any other request. */
export function sidOfUrl(url: string | undefined): string | undefined {
  const parsed = URL.parse(url ?? "/", "http://localhost");
  return parsed?.pathname.startsWith("/socket.io/") ? (parsed.searchParams.get("sid") ?? undefined) : undefined;
}
