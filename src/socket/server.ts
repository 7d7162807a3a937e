import type { Server as HttpServer, IncomingMessage, ServerResponse } from "node:http";
import type { Server as HttpsServer } from "node:https";
import { Server, type Socket } from "socket.io";
import type { Identity, TokenVerifier } from "../auth/tokens.ts";
import type { AddressOf } from "../client-address.ts";
import { bannedUntil, type RoomcastError } from "../errors.ts";
import type { Intervals } from "../intervals.ts";
import type { Bans } from "../moderation/bans.ts";
import type { Order } from "../moderation/order.ts";
import { drain } from "../nodes/drain.ts";
import type { RequestName, ServerEvents, WelcomeLimits } from "../protocol.ts";
import type { Rate } from "../room/budget.ts";
import { Connection } from "../room/connection.ts";
import type { RoomContext } from "../room/context.ts";
import { getHistory } from "../room/history.ts";
import { joinRoom, leaveBehind } from "../room/join.ts";
import { leaveAll, leaveRoom } from "../room/leave.ts";
import { getMembers, setState } from "../room/members.ts";
import { closeRoom, kickMember, unbanMember } from "../room/moderate.ts";
import { type RateLimits, Rates } from "../room/rates.ts";
import { renewToken } from "../room/renew.ts";
import { sendMessage } from "../room/send.ts";
import { sendSignal } from "../room/signal.ts";
import { withdraw } from "../room/withdraw.ts";
import { sharedListener } from "../shared-listener.ts";
import { Admission } from "./admission.ts";
import { type DispatchOptions, dispatch, type Verbs } from "./dispatch.ts";
import { sessionOf } from "./engine.ts";
import { Expiries } from "./expiry.ts";
import { guardFrames } from "./flood.ts";
import { Handshakes } from "./handshake.ts";
import { HandshakeRequests } from "./handshake-requests.ts";
import { Held } from "./held.ts";
import { KnownSessions } from "./known-sessions.ts";
import { obey, review } from "./obey.ts";
import { requireOrigin } from "./origins.ts";
import { OutboundBudget } from "./outbound-budget.ts";
import { type OutletBounds, SocketOutlet } from "./outlet.ts";
import { Places } from "./places.ts";
import { corkUpgrades } from "./turn-cork.ts";

/** A frame larger than this ends its connection, in bytes. */
const MAX_FRAME_BYTES = 1_000_000;
/** Balancers learn from this cookie which node has a session; clients need not send it back. */
const STICKY_COOKIE = "io_sid";
/** What a socket's end is called when its client meant it. */
const LEFT_BY_ITSELF = "client namespace disconnect";

/** Rates of one connection's frames and refusals, and of the node's new connections. */
export interface Floods {
  readonly frames: Rate;
  readonly refusals: Rate;
  readonly connections: Rate;
}

export interface SocketServerOptions {
  readonly intervals: Intervals;
  readonly nodeName: string;
  readonly corsOrigins: readonly string[] | "*";
  readonly rates: RateLimits | "off";
  readonly floods: Floods | "off";
  readonly addressOf: AddressOf;
  readonly welcomeLimits: WelcomeLimits;
  readonly maxConnections: number;
  readonly maxConnectionsPerUser: number;
  readonly maxConnectionsPerAddress: number;
  readonly maxHandshakes: number;
  readonly maxPending: number;
  readonly requestTimeoutMs: number;
  readonly handshakeTimeoutMs: number;
  /** Most bytes that one connection may owe before its readers leave the live stream. */
  readonly outboundBytes: number;
  /** Most bytes that all connections together may owe. */
  readonly outboundBytesPerNode: number;
  /** Whether `/socket.io/` also serves the client's files. */
  readonly serveClient: boolean;
  /** Whether a connection keeps the whole request of its handshake. */
  readonly keepRequests: boolean;
}

export interface SocketServerEvents {
  /** `transport`: the one that it came by. */
  connected(connection: Connection, transport: string): void;
  disconnected(connection: Connection, reason: string): void;
  /** A handshake was refused. */
  rejected(error: RoomcastError): void;
  /** A request was answered with ok, after so long. */
  served(name: RequestName, seconds: number): void;
  /** A rate was reached, and somebody refused or disconnected for it. */
  rateLimited(limit: "frames" | "refusals" | "connections"): void;
  /** A request was refused. */
  refused(name: RequestName, error: RoomcastError): void;
  /** A request broke. */
  failed(name: RequestName, connection: string, error: unknown): void;
  handshakeFailed(connection: string, error: unknown): void;
  /** An order of moderation could not be carried out. */
  orderFailed(error: unknown): void;
  /** A signal was not written, because its receiver owes too much. */
  signalDropped(): void;
}

/** The Socket.IO side of a node: authenticated connections and their requests. */
export class SocketServer {
  readonly io: Server;
  readonly #context: RoomContext;
  readonly #verifier: TokenVerifier;
  readonly #options: SocketServerOptions;
  readonly #events: SocketServerEvents;
  readonly #handshakes: Handshakes;
  readonly #places: Places<Socket>;
  readonly #admission: Admission;
  readonly #known: KnownSessions;
  readonly #requests: HandshakeRequests;
  /** By the connection's id, which is the socket's. */
  readonly #connections = new Map<string, Held>();
  /** Of sockets that were let in, until they are connections. */
  readonly #opening = new WeakMap<Socket, SocketOutlet>();
  readonly #expiries: Expiries;
  readonly #onDisconnect = sharedListener((socket: Socket, reason: string) => this.#disconnected(socket, reason));
  readonly #budget: OutboundBudget;
  readonly #bounds: OutletBounds;
  readonly #verbs: Verbs;
  readonly #dispatch: DispatchOptions;
  #isOpen = false;

  constructor(
    http: HttpServer | HttpsServer,
    context: RoomContext,
    verifier: TokenVerifier,
    options: SocketServerOptions,
    events: SocketServerEvents,
  ) {
    this.#context = context;
    this.#verifier = verifier;
    this.#options = options;
    this.#events = events;
    this.#handshakes = new Handshakes(verifier, events);
    this.#verbs = this.#serving();
    this.#dispatch = this.#dispatching();
    this.io = new Server(http, {
      // Without `cors` no other origin may poll; an empty object would let everybody.
      ...(options.corsOrigins.length > 0 && { cors: { origin: originsOf(options.corsOrigins), credentials: true } }),
      cookie: { name: STICKY_COOKIE, path: "/", httpOnly: true, sameSite: "lax" },
      serveClient: options.serveClient,
      maxHttpBufferSize: MAX_FRAME_BYTES,
      connectTimeout: options.handshakeTimeoutMs,
    });
    const { intervals, outboundBytes: maxBytes } = options;
    this.#budget = new OutboundBudget({
      maxBytes: options.outboundBytesPerNode,
      everybody: () => this.#outlets(),
      intervals,
    });
    this.#bounds = { maxBytes, budget: this.#budget, signalDropped: () => events.signalDropped() };
    SocketOutlet.watch(this.io.engine);
    corkUpgrades(this.io.engine);
    this.#expiries = new Expiries(() => this.#connections.values(), intervals);
    this.#known = new KnownSessions(this.io, options.handshakeTimeoutMs);
    this.#places = new Places(options.maxConnections, options.maxConnectionsPerUser);
    this.#admission = new Admission({
      isOpen: () => this.#isOpen,
      addressOf: options.addressOf,
      maxPerAddress: options.maxConnectionsPerAddress,
      rate: options.floods === "off" ? "off" : options.floods.connections,
      maxHandshakes: options.maxHandshakes,
      authenticated: () => this.#known.size,
      refused: (error) => events.rejected(error),
      tooFast: () => events.rateLimited("connections"),
    });
    this.#admission.guard(this.io.engine);
    this.#requests = new HandshakeRequests(this.io.engine);
    this.io.engine.use((request: IncomingMessage, response: ServerResponse, next: () => void) => {
      this.#readRequest(request, response, next);
    });
    guardFrames(this.io.engine, options.floods === "off" ? "off" : options.floods.frames, () =>
      events.rateLimited("frames"),
    );
    this.io.use(
      this.#handshakes.middleware({
        precheck: ({ request }) => {
          requireOrigin(request.headers, options.corsOrigins);
          this.#admission.requireRoomFor(request);
        },
        admit: (socket, { user }) => {
          const until = context.blocks.endOf(user);
          if (until !== undefined) throw bannedUntil(until, "everywhere");
          this.#places.take(socket, user);
        },
        passed: (socket) => this.#open(socket),
        settled: (socket) => {
          if (this.#connections.has(socket.id)) return;
          this.#places.give(socket);
          this.#opening.get(socket)?.release();
        },
      }),
    );
    this.#handshakes.watch(this.io.of("/"));
    this.io.on("connection", (socket) => this.#connected(socket));
  }

  /** From now on connections are taken; before, whoever comes is told to come again. */
  open(): void {
    this.#isOpen = true;
  }

  /** Throws where the socket is none of the main namespace's, or not verified yet. */
  identityOf(socket: Socket): Identity {
    return this.#connections.get(socket.id)?.connection.identity ?? this.#handshakes.identityOf(socket);
  }

  get connections(): number {
    return this.#connections.size;
  }

  /** The name of each connection's transport. */
  *transports(): Iterable<string> {
    for (const { transport } of this.#connections.values()) yield transport;
  }

  /** Bytes that all connections were sent and have not taken. */
  get owed(): number {
    return this.#budget.owed;
  }

  /** To every connection of this node. */
  tell<Name extends keyof ServerEvents>(name: Name, event: ServerEvents[Name]): void {
    this.io.local.emit(name, event);
  }

  /** After the room types changed: whoever may not be in a room any more is out, and told. */
  withdraw(): void {
    for (const { connection } of this.#connections.values()) withdraw(this.#context, connection);
  }

  /** Carries an order out that every node hears. */
  apply(order: Order): void {
    const { blocks } = this.#context;
    if (order.kind === "disconnect" && order.until !== undefined) blocks.add(order.user, order.until);
    if (order.kind === "unblock") blocks.remove(order.user);
    obey(order, this.#connections.values(), this.#context).catch(this.#events.orderFailed);
  }

  /** Puts out whoever is kept out by now: orders may have been missed. Rejects with `unavailable`; may be repeated. */
  async review(bans: Bans): Promise<void> {
    this.#context.blocks.replace(await bans.blocked());
    await review(bans, this.#connections.values(), this.#context, this.#events.orderFailed);
  }

  /** Hands the connections of this node over to others. */
  drain(drainMs: number): Promise<void> {
    return drain({ connections: () => this.#connections.values(), drainMs });
  }

  /** Ends what is left and the listening. */
  async close(): Promise<void> {
    // Only the transports of this node: disconnecting by Socket.IO would reach the whole cluster, and stay final.
    for (const connection of this.#connections.values()) connection.move();
    await this.io.close();
    this.#budget.stop();
    this.#expiries.stop();
  }

  /** What a polling client posts is not read while it owes too much; a websocket is paused by its outlet. */
  #readRequest(request: IncomingMessage, response: ServerResponse, next: () => void): void {
    const outlet = request.method === "POST" ? SocketOutlet.of(sessionOf(this.io.engine, request)) : undefined;
    if (outlet === undefined) {
      next();
      return;
    }
    outlet.keepRequest(
      // Engine.IO would wait for ever for the body of a request that is gone.
      () => request.destroyed || next(),
      () => response.writeHead(400).end(),
    );
  }

  *#outlets(): Iterable<SocketOutlet> {
    for (const { outlet } of this.#connections.values()) yield outlet;
  }

  /** What Socket.IO is about to answer goes through the outlet already, and leaves together with our `welcome`. */
  #open(socket: Socket): SocketOutlet {
    const outlet = new SocketOutlet(socket, this.#bounds);
    this.#opening.set(socket, outlet);
    outlet.corkTurn();
    return outlet;
  }

  #connected(socket: Socket): void {
    // An application's listener of the namespace's `connect`, which comes first, may have disconnected it: nobody tells of that any more.
    if (!socket.connected) return;
    const { nodeName, rates, floods, welcomeLimits } = this.#options;
    const identity = this.#handshakes.identityOf(socket);
    const outlet = this.#opening.get(socket) ?? this.#open(socket);
    this.#opening.delete(socket);
    const connection = new Connection(socket.id, identity, outlet, new Rates(rates));
    this.#known.add(socket);
    const held = new Held(this.#context, socket, connection, outlet, floods === "off" ? "off" : floods.refusals);
    this.#connections.set(connection.id, held);
    this.#expiries.note(held);
    if (!this.#options.keepRequests) this.#requests.forget(socket);
    socket.on("disconnect", this.#onDisconnect);
    dispatch(socket, connection, this.#verbs, this.#dispatch);
    const welcome: ServerEvents["welcome"] = {
      connectionId: socket.id,
      user: connection.from,
      node: nodeName,
      expiresAt: identity.expiresAt,
      limits: welcomeLimits,
    };
    socket.emit("welcome", welcome);
    this.#events.connected(connection, socket.conn.transport.name);
    // The order may have come while middleware of an embedding application was asked: it found no connection yet.
    const until = this.#context.blocks.endOf(identity.user);
    if (until === undefined) return;
    // Behind the application's own listeners, which would hear of a socket that is gone and never of its end.
    process.nextTick(() => {
      if (this.#connections.get(socket.id) === held) held.end(bannedUntil(until, "everywhere"));
    });
  }

  #dispatching(): DispatchOptions {
    return {
      timeoutMs: this.#options.requestTimeoutMs,
      maxPending: this.#options.maxPending,
      served: (name, seconds) => this.#events.served(name, seconds),
      refused: (name, { id }, error) => {
        this.#events.refused(name, error);
        if (error.code === "rate_limited" && this.#connections.get(id)?.wasRefused()) {
          this.#events.rateLimited("refusals");
        }
      },
      unserved: (name, connection, payload) => {
        const room = name === "joinRoom" ? roomOf(payload) : undefined;
        if (room !== undefined) leaveBehind(this.#context, connection, room);
      },
      failed: (name, { id }, error) => this.#events.failed(name, id, error),
    };
  }

  #serving(): Verbs {
    const context = this.#context;
    return {
      joinRoom: (connection, request, call) => joinRoom(context, connection, request, call),
      leaveRoom: (connection, request, call) => leaveRoom(context, connection, request, call),
      sendMessage: (connection, request, call) => sendMessage(context, connection, request, call),
      sendSignal: (connection, request, call) => sendSignal(context, connection, request, call),
      getHistory: (connection, request, call) => getHistory(context, connection, request, call),
      getMembers: (connection, request, call) => getMembers(context, connection, request, call),
      setState: (connection, request, call) => setState(context, connection, request, call),
      renewToken: async (connection, request, call) => {
        await renewToken(context, this.#verifier, connection, request, call);
        const held = this.#connections.get(connection.id);
        if (held !== undefined) this.#expiries.note(held);
      },
      kickMember: (connection, request, call) => kickMember(context, connection, request, call),
      unbanMember: (connection, request, call) => unbanMember(context, connection, request, call),
      closeRoom: (connection, request, call) => closeRoom(context, connection, request, call),
    };
  }

  #disconnected(socket: Socket, reason: string): void {
    const held = this.#connections.get(socket.id);
    if (held === undefined) return;
    const { connection, outlet } = held;
    this.#connections.delete(socket.id);
    this.#known.remove(socket);
    this.#places.give(socket);
    outlet.release();
    leaveAll(this.#context, connection, reason === LEFT_BY_ITSELF ? 0 : this.#context.limits.graceMs);
    this.#events.disconnected(connection, reason);
  }
}

function roomOf(payload: unknown): string | undefined {
  const isObject = typeof payload === "object" && payload !== null;
  return isObject && "room" in payload && typeof payload.room === "string" ? payload.room : undefined;
}

function originsOf(origins: readonly string[] | "*"): string | string[] {
  return origins === "*" ? "*" : [...origins];
}
