import type { Server, Socket } from "socket.io";
import type { ApplicationOptions } from "./auth/application.ts";
import type { RoomTypes } from "./auth/room-types.ts";
import { answerOf } from "./auth/signed-question.ts";
import type { Config } from "./config/config.ts";
import type { Host } from "./http/public-server.ts";
import type { NodeRooms } from "./room/embedded-rooms.ts";
import { type Hooks, inTime } from "./room/hooks.ts";
import type { Logger } from "./telemetry/log.ts";

/** How long a hook may take where nothing else is said, in milliseconds. */
const DEFAULT_HOOK_TIMEOUT_MS = 1_000;
/** Questions to the `authorize` hook at once: it runs in this process, and has no connection to wait for. */
const MOST_AUTHORIZE_HOOKS = 256;

/** What a node is made with; everything may be left out. */
export interface NodeOptions extends Host {
  /** What `parseConfig(process.env)` makes, by default that very thing. */
  readonly config?: Config;
  /** By default JSON lines on stdout, at the configuration's level. */
  readonly log?: Logger;
  readonly hooks?: Hooks;
  /** How long each call of a hook may take, in milliseconds: less than `REQUEST_TIMEOUT_MS`. */
  readonly hookTimeoutMs?: number;
  /**
   * Whether `socket.request` and `socket.handshake` stay whole once a connection is made, with what middlewares left on them;
   * by default they do. Else only method, path, TCP socket and the headers `Origin`, `Host` and `X-Forwarded-For` stay, and an idle
   * connection takes 3 KiB less, more where browsers send more.
   */
  readonly keepRequests?: boolean;
}

/** Who is behind a socket, by the token. */
export interface SocketIdentity {
  readonly user: string;
  readonly name?: string;
  /** Unix milliseconds. */
  readonly expiresAt: number;
}

/** Where a node listens. */
export interface Addresses {
  readonly port: number;
  readonly adminPort: number;
  /** Where `/v1` is: the public port, unless `API_PORT` says otherwise. */
  readonly apiPort: number;
}

export interface RoomcastNode {
  /**
   * The Socket.IO server: an embedding application's own events, namespaces, middlewares and emits. In the namespace `/`
   * everybody has a valid token, and Roomcast's requests and events have their names (`joinRoom`, `message`, …).
   */
  readonly io: Server;
  /** Rooms for the application's own code, from any node and whoever is in them. */
  readonly rooms: NodeRooms;
  /** Who a socket of the namespace `/` is; in middlewares of `io`, too. Throws for any other socket. */
  identityOf(socket: Socket): SocketIdentity;
  /**
   * Resolves once connections are taken; a server that does not listen yet does then, at `HOST` and `PORT`. Rejects where a
   * port is taken or Redis is too old for us.
   */
  start(): Promise<Addresses>;
  /** From now on these policies hold, for who is connected too: rooms that they close are left, with `removed`. */
  replaceRoomTypes(types: RoomTypes): void;
  /** Takes itself out of the balancer and hands its connections over, spread over `DRAIN_SECONDS`. While that is under way: the same one. */
  drain(): Promise<void>;
  /** Drains, closes the HTTP server, whoever made it, and lets go of everything else. */
  stop(): Promise<void>;
}

/** The hooks, with what all of them have in common. */
export interface HookSettings {
  readonly hooks: Hooks;
  readonly timeoutMs: number;
}

/** Throws `RangeError` or `TypeError` for hooks that the configuration does not go with. */
export function hooksOf(
  { hooks = {}, hookTimeoutMs = DEFAULT_HOOK_TIMEOUT_MS }: NodeOptions,
  config: Config,
): HookSettings {
  const { requestTimeoutMs } = config.limits;
  if (!(hookTimeoutMs > 0 && hookTimeoutMs < requestTimeoutMs)) {
    throw new RangeError(`hookTimeoutMs must be more than 0 and less than ${requestTimeoutMs} (REQUEST_TIMEOUT_MS)`);
  }
  if (hooks.authorize !== undefined && config.authorize !== undefined) {
    throw new TypeError("hooks.authorize and AUTHORIZE_URL exclude each other: one of them decides");
  }
  return { hooks, timeoutMs: hookTimeoutMs };
}

/** How the application is asked about rooms that tokens do not cover. */
export type Asked = Pick<ApplicationOptions, "put" | "timeoutMs" | "maxParallel">;

/** By its hook, where it has one. */
export function askedByHook(hooks: Hooks, timeoutMs: number): Asked | undefined {
  if (hooks.authorize === undefined) return undefined;
  const put: Asked["put"] = async (question) =>
    answerOf(await inTime("authorize", timeoutMs, () => hooks.authorize?.(question)));
  return { put, timeoutMs, maxParallel: MOST_AUTHORIZE_HOOKS };
}
