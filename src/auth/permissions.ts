import * as z from "zod";
import { BOUNDS, isRoomOfUser, roomType } from "../protocol.ts";
import type { RoomPolicy } from "./room-types.ts";

/** What may be allowed in a room; `*` in a token stands for all of them. */
export const PERMISSIONS = ["join", "send", "signal", "history", "moderate"] as const;
export type Permission = (typeof PERMISSIONS)[number];
export type Grant = Permission | "*";

/** Most room patterns in one token. */
const MAX_PATTERNS = 100;
/** Most bytes of one pattern: as many as a room's name. */
const MAX_PATTERN_BYTES = BOUNDS.roomBytes;

export const grantsSchema = z.array(z.enum([...PERMISSIONS, "*"]));

/** The claim `rooms`: room patterns and what each gives. */
export const roomsSchema = z.record(z.string(), grantsSchema).superRefine((rooms, context) => {
  const patterns = Object.keys(rooms);
  if (patterns.length > MAX_PATTERNS) {
    context.addIssue({ code: "custom", message: `must have at most ${MAX_PATTERNS} patterns` });
  }
  for (const pattern of patterns) {
    const bytes = Buffer.byteLength(pattern);
    if (bytes >= 1 && bytes <= MAX_PATTERN_BYTES) continue;
    context.addIssue({ code: "custom", message: `must have patterns of 1 to ${MAX_PATTERN_BYTES} bytes` });
    break;
  }
});

export type RoomGrants = z.output<typeof roomsSchema>;

/** A set of permissions as bits. */
export type PermissionBits = number;

const BIT: Readonly<Record<Permission, PermissionBits>> = { join: 1, send: 2, signal: 4, history: 8, moderate: 16 };
const ALL: PermissionBits = 31;
/** What users may do in the room of their own, whatever the token says: only the application's servers speak there. */
const OWN_ROOM: PermissionBits = BIT.join | BIT.history;

export function permissionBits(grants: readonly Grant[]): PermissionBits {
  let bits = 0;
  for (const grant of grants) bits |= grant === "*" ? ALL : BIT[grant];
  return bits;
}

/** Whether a set has a permission. */
export function permits(bits: PermissionBits, permission: Permission): boolean {
  return (bits & BIT[permission]) !== 0;
}

/**
 * A pattern with at least one `*`, which stands for any run of characters. Patterns come from outside, so no regular
 * expression is made of them: what stands between the stars is looked for from left to right, each part at the first
 * place where it fits, and never again.
 */
class Wildcard {
  readonly #head: string;
  readonly #middle: readonly string[];
  readonly #tail: string;

  constructor(pattern: string) {
    const parts = pattern.split("*");
    this.#head = parts[0] ?? "";
    this.#tail = parts.at(-1) ?? "";
    this.#middle = parts.slice(1, -1).filter((part) => part !== "");
  }

  matches(room: string): boolean {
    if (!room.startsWith(this.#head) || !room.endsWith(this.#tail)) return false;
    let at = this.#head.length;
    for (const part of this.#middle) {
      const found = room.indexOf(part, at);
      if (found === -1) return false;
      at = found + part.length;
    }
    return at + this.#tail.length <= room.length;
  }
}

/** A claim `rooms`, ready for being asked at every request. */
class Patterns {
  readonly #names = new Map<string, PermissionBits>();
  readonly #wildcards: { readonly wildcard: Wildcard; readonly bits: PermissionBits }[] = [];

  constructor(rooms: RoomGrants) {
    for (const [pattern, grants] of Object.entries(rooms)) {
      const bits = permissionBits(grants);
      if (pattern.includes("*")) this.#wildcards.push({ wildcard: new Wildcard(pattern), bits });
      else this.#names.set(pattern, bits);
    }
  }

  of(room: string): PermissionBits | undefined {
    let bits = this.#names.get(room);
    for (const { wildcard, bits: more } of this.#wildcards) {
      if (wildcard.matches(room)) bits = (bits ?? 0) | more;
    }
    return bits;
  }
}

/** Claims by their JSON text, the one used last at the end: many tokens have the same, and share what was made of it. */
const known = new Map<string, Patterns>();
/** A claim with a longer text is shared by nobody, in characters. */
const MAX_SHARED_TEXT = 1_024;
/** Most claims that are remembered for sharing. */
const MAX_SHARED = 1_000;

function patternsOf(rooms: RoomGrants): Patterns {
  const text = JSON.stringify(rooms);
  const patterns = known.get(text) ?? new Patterns(rooms);
  if (text.length > MAX_SHARED_TEXT) return patterns;
  known.delete(text);
  known.set(text, patterns);
  const [oldest] = known.keys();
  if (known.size > MAX_SHARED && oldest !== undefined) known.delete(oldest);
  return patterns;
}

/** What one token gives. */
export class Permissions {
  readonly #patterns: Patterns;
  readonly #user: string | undefined;

  /** `user`: whose room of their own is theirs too; it is a name and no pattern, whatever is in it. */
  constructor(rooms: RoomGrants, user?: string) {
    this.#patterns = patternsOf(rooms);
    this.#user = user;
  }

  /** Everything that the matching patterns give together; `undefined` where none matches. */
  of(room: string): PermissionBits | undefined {
    const bits = this.#patterns.of(room);
    if (this.#user === undefined || !isRoomOfUser(room, this.#user)) return bits;
    return (bits ?? 0) | OWN_ROOM;
  }

  /** Whether the token alone allows this; see `may` for the room type's part. */
  allows(room: string, permission: Permission): boolean {
    return permits(this.of(room) ?? 0, permission);
  }
}

/** The permissions of a claim `rooms` that `roomsSchema` has checked, and of that user in the room of their own. */
export function compilePermissions(rooms: RoomGrants, user?: string): Permissions {
  return new Permissions(rooms, user);
}

/** Whether somebody may do something in a room: by the token, or because the room's type allows it to everybody. */
export function may(permissions: Permissions, policy: RoomPolicy, room: string, permission: Permission): boolean {
  return permits(policy.everybody, permission) || permissions.allows(room, permission);
}

/** Says why `may` answered no. */
export function denial(permissions: Permissions, policy: RoomPolicy, room: string, permission: Permission): string {
  if (permissions.of(room) !== undefined) return `the token's rooms give no "${permission}" in ${room}`;
  if (policy.everybody === 0) return `no pattern in the token's rooms covers ${room}`;
  return `rooms of type ${roomType(room)} give no "${permission}", and no pattern in the token's rooms covers ${room}`;
}
