/**
 * Who this tab is and where it was: name, room and user id. A tab keeps them in its sessionStorage, so that two tabs are
 * two users, and a reload is the same user again.
 */

const PREFIX = "roomcast.demo.";
const SUFFIX_LENGTH = 6;
const SLUG_LENGTH = 32;

/** Where the browser forbids storage, the visit lasts as long as the page. */
const fallback = new Map();

export function recall(key) {
  try {
    return sessionStorage.getItem(PREFIX + key) ?? fallback.get(key);
  } catch {
    return fallback.get(key);
  }
}

export function remember(key, value) {
  fallback.set(key, value);
  try {
    sessionStorage.setItem(PREFIX + key, value);
  } catch {
    // Storage is forbidden or full: the fallback above serves this page.
  }
}

export function forget(key) {
  fallback.delete(key);
  try {
    sessionStorage.removeItem(PREFIX + key);
  } catch {
    // As above.
  }
}

/** What the address asks for: `#room=chat:lobby&name=Ada`. */
export function deepLink() {
  const link = new URLSearchParams(location.hash.slice(1));
  return { room: link.get("room") ?? undefined, name: link.get("name") ?? undefined };
}

/** Leaves the room in the address, to be shared; the name is nobody else's. */
export function showRoomInAddress(room) {
  history.replaceState(null, "", `#room=${encodeURIComponent(room).replaceAll("%3A", ":")}`);
}

/** The user id of this tab: `ada-k3x9q2`. */
export function subjectFor(name) {
  let suffix = recall("suffix");
  if (suffix === undefined) {
    suffix = randomText(SUFFIX_LENGTH);
    remember("suffix", suffix);
  }
  const slug = name
    .normalize("NFKD")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "")
    .slice(0, SLUG_LENGTH);
  return `${slug || "guest"}-${suffix}`;
}

/** Random text of `a-z0-9`. Not `crypto.randomUUID`, which is absent on a page by plain HTTP from another machine. */
export function randomText(length) {
  const bytes = crypto.getRandomValues(new Uint8Array(length));
  return Array.from(bytes, (byte) => (byte % 36).toString(36)).join("");
}
