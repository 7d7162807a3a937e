import * as z from "zod";
import { checkFields } from "../fields.ts";
import type { Retention } from "../log/room-log.ts";
import { roomNameProblem, roomType } from "../protocol.ts";
import { type Grant, grantsSchema, type PermissionBits, permissionBits } from "./permissions.ts";

/** Up to how many members a room tells each coming and going, and under how many it does so again. */
export interface PresenceEvents {
  readonly upToMembers: number;
  readonly againBelowMembers: number;
}

/** What holds in every room of one type. */
export interface RoomPolicy {
  /** What every authenticated user may do here, whatever the token's rooms say; 0 where access is by the token only. */
  readonly everybody: PermissionBits;
  readonly retention: Retention;
  /** Most distinct users in a room; 0 for no limit. */
  readonly maxMembers: number;
  readonly presence: PresenceEvents;
}

const DEFAULT_GRANTS: readonly Grant[] = ["join", "send", "signal", "history"];
const DAY_SECONDS = 24 * 60 * 60;
const KIB = 1024;
const MIB = 1024 * KIB;

/** History where nothing else is configured: messages, bytes of bodies, and seconds. */
const DEFAULT_HISTORY = { maxMessages: 1000, maxBytes: 8 * MIB, maxAgeSeconds: DAY_SECONDS };
const MAX_HISTORY = { maxMessages: 1_000_000, maxBytes: 1024 * MIB, maxAgeSeconds: 366 * DAY_SECONDS };
const MAX_MEMBERS = 1_000_000;

/** One type in the file of `ROOM_TYPES`. Everything may be left out; nothing else may be there. */
const typeSchema = z
  .strictObject({
    access: z.enum(["token", "authenticated"]).default("token"),
    permissions: grantsSchema.optional(),
    history: z
      .strictObject({
        maxMessages: z.int().min(1).max(MAX_HISTORY.maxMessages).default(DEFAULT_HISTORY.maxMessages),
        maxBytes: z.int().min(KIB).max(MAX_HISTORY.maxBytes).default(DEFAULT_HISTORY.maxBytes),
        maxAgeSeconds: z.int().min(1).max(MAX_HISTORY.maxAgeSeconds).default(DEFAULT_HISTORY.maxAgeSeconds),
      })
      .prefault({}),
    maxMembers: z.int().min(0).max(MAX_MEMBERS).default(0),
    presence: z
      .strictObject({
        eventsUpToMembers: z.int().min(0).max(MAX_MEMBERS).optional(),
        eventsAgainBelowMembers: z.int().min(0).max(MAX_MEMBERS).optional(),
      })
      .prefault({}),
  })
  .refine((type) => type.access === "authenticated" || type.permissions === undefined, {
    path: ["permissions"],
    message: 'need "access": "authenticated": where access is by the token, the token gives them',
  });

type TypeSettings = z.output<typeof typeSchema>;

function policyOf(settings: TypeSettings, presence: PresenceEvents): RoomPolicy {
  const { access, history } = settings;
  return {
    everybody: access === "token" ? 0 : permissionBits(settings.permissions ?? DEFAULT_GRANTS),
    retention: {
      maxMessages: history.maxMessages,
      maxBytes: history.maxBytes,
      maxAgeMs: history.maxAgeSeconds * 1000,
    },
    maxMembers: settings.maxMembers,
    presence: {
      upToMembers: settings.presence.eventsUpToMembers ?? presence.upToMembers,
      againBelowMembers: settings.presence.eventsAgainBelowMembers ?? presence.againBelowMembers,
    },
  };
}

/** Picks a room's policy by its type. */
export class RoomTypes {
  #types: ReadonlyMap<string, RoomPolicy>;
  #builtIn: RoomPolicy;

  constructor(presence: PresenceEvents, types: ReadonlyMap<string, RoomPolicy> = new Map()) {
    this.#types = types;
    this.#builtIn = policyOf(typeSchema.parse({}), presence);
  }

  /** Takes the policies of others: from now on they hold, wherever this one is asked. */
  replaceBy(others: RoomTypes): void {
    this.#types = others.#types;
    this.#builtIn = others.#builtIn;
  }

  /** Whether a type has a policy of its own. */
  isConfigured(type: string): boolean {
    return this.#types.has(type);
  }

  /** The policy of the room's type; the built-in one for every type that is not configured. */
  of(room: string): RoomPolicy {
    return this.#types.get(roomType(room)) ?? this.#builtIn;
  }
}

function typeNameProblem(type: string): string | undefined {
  if (type.includes(":")) return "must not contain a colon: a type is what stands before it";
  return roomNameProblem(`${type}:`);
}

/**
 * Makes the policies from what the file of `ROOM_TYPES` holds; `presence` is the node's own setting, for types that
 * have none. Answers every problem, each beginning with the place in the file, e.g. `chat.history.maxMessages must …`.
 */
export function parseRoomTypes(
  file: unknown,
  presence: PresenceEvents,
): { ok: true; types: RoomTypes } | { ok: false; problems: readonly string[] } {
  if (typeof file !== "object" || file === null || Array.isArray(file)) {
    return { ok: false, problems: ["the file must hold a JSON object: a policy for each type"] };
  }
  const problems: string[] = [];
  const policies = new Map<string, RoomPolicy>();
  for (const [type, value] of Object.entries(file)) {
    const wrongName = typeNameProblem(type);
    if (wrongName !== undefined) problems.push(`the type ${JSON.stringify(type)} ${wrongName}`);
    const checked = checkFields(typeSchema, value, type, [type]);
    if (!checked.ok) {
      problems.push(...checked.problems);
      continue;
    }
    const policy = policyOf(checked.value, presence);
    if (policy.presence.againBelowMembers > policy.presence.upToMembers) {
      problems.push(`${type}.presence.eventsAgainBelowMembers must not be more than eventsUpToMembers`);
    }
    policies.set(type, policy);
  }
  return problems.length > 0 ? { ok: false, problems } : { ok: true, types: new RoomTypes(presence, policies) };
}
