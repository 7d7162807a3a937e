import { createServer, type Server as HttpServer, type ServerOptions } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Server } from "socket.io";
import { ApiKeys } from "./auth/api-keys.ts";
import { Application } from "./auth/application.ts";
import type { RoomTypes } from "./auth/room-types.ts";
import { askBySignedPost } from "./auth/signed-question.ts";
import { TokenVerifier } from "./auth/tokens.ts";
import { Canary } from "./canary/canary.ts";
import { clientAddress } from "./client-address.ts";
import type { Config } from "./config.ts";
import { Feeds } from "./feed/feeds.ts";
import { adminApp, type Readiness } from "./http/admin-app.ts";
import { type ApiOptions, apiApp } from "./http/api.ts";
import { DEMO_FILES } from "./http/demo.ts";
import { publicApp } from "./http/public-app.ts";
import { Blocks } from "./moderation/blocks.ts";
import { ControlLog } from "./moderation/control-log.ts";
import { Moderation } from "./moderation/moderation.ts";
import { Seats } from "./presence/seats.ts";
import type { WelcomeLimits } from "./protocol.ts";
import type { RoomContext } from "./room/context.ts";
import { RoomRates } from "./room/rates.ts";
import { Rooms } from "./room/rooms.ts";
import { Turns } from "./room/turns.ts";
import { SocketServer } from "./socket/server.ts";
import { memoryStore, redisStore, type Store } from "./store.ts";
import type { Logger } from "./telemetry/log.ts";
import { type Gauges, Metrics } from "./telemetry/metrics.ts";

/** Redis may be away, or take no writes, for this long before the balancer is told, so that a blip does not empty it. In milliseconds. */
const UNREADY_AFTER_MS = 3_000;

/** Messages in answers that are encoded in one turn of the event loop: some milliseconds, in bytes. */
const ANSWERS_PER_TURN_BYTES = 1024 * 1024;

/** How long a stop waits for connections to end by themselves, in milliseconds. */
const CLOSE_WITHIN_MS = 2_000;

/** How much longer a whole request may take than its headers. */
const BODY_TIMES_HEADERS = 3;
/** How often slow requests are looked for, in milliseconds. */
const LOOK_FOR_SLOW_MS = 1_000;

/** Where a node listens. */
export interface Addresses {
  readonly port: number;
  readonly adminPort: number;
  /** Where `/v1` is: the public port, unless `API_PORT` says otherwise. */
  readonly apiPort: number;
}

export interface RoomcastNode {
  /** The Socket.IO server: an embedding application's own events, namespaces and emits. */
  readonly io: Server;
  /** Resolves once connections are taken. Rejects where a port is taken or the server is too old for us. */
  start(): Promise<Addresses>;
  /** From now on these policies hold, for who is connected too: rooms that they close are left, with `removed`. */
  replaceRoomTypes(types: RoomTypes): void;
  /** Takes itself out of the balancer and hands its connections over, spread over `DRAIN_SECONDS`. Once only. */
  drain(): Promise<void>;
  /** Drains, and lets go of everything else. */
  stop(): Promise<void>;
}

/** Puts one node together: the only place that picks concrete classes. */
export function createNode(config: Config, log: Logger): RoomcastNode {
  return new Node(config, log);
}

class Node implements RoomcastNode {
  readonly #config: Config;
  readonly #log: Logger;
  readonly #store: Store;
  readonly #feeds: Feeds;
  readonly #seats: Seats;
  readonly #sockets: SocketServer;
  readonly #public: HttpServer;
  readonly #admin: HttpServer;
  readonly #api: HttpServer | undefined;
  readonly #control: ControlLog;
  readonly #canary: Canary;
  #phase: "starting" | "running" | "draining" = "starting";
  #drained: Promise<void> | undefined;
  /** The public port's connections; an HTTP server forgets those that became websockets. */
  readonly #tcp = new Set<Socket>();

  constructor(config: Config, log: Logger) {
    this.#config = config;
    this.#log = log;
    const failed = (where: string) => (error: unknown) => log.error({ err: error }, where);
    const metrics = new Metrics({
      node: config.nodeName,
      gauges: this.#gauges(),
      topRooms: config.limits.metricsTopRooms,
      isConfigured: (type) => config.roomTypes.isConfigured(type),
    });
    this.#store = config.redis.kind === "memory" ? memoryStore(config) : redisStore(config, config.redis, log, metrics);
    this.#feeds = new Feeds({
      channels: this.#store.channels,
      log: this.#store.log,
      limits: { heldBytes: config.limits.maxHeldBytes, lingerMs: config.limits.feedLingerMs },
      counts: metrics,
      policyOf: (room) => config.roomTypes.of(room),
      failed: (room, error) => log.error({ room, err: error }, "a feed failed"),
      lost: (room) => this.#seats.putBackIn(room),
    });
    this.#seats = new Seats(this.#store.presence, this.#store.index, failed("leaving a room failed"));
    this.#control = new ControlLog({
      channels: this.#store.channels,
      log: this.#store.log,
      heldBytes: config.limits.maxHeldBytes,
      apply: (order) => this.#sockets.apply(order),
      review: () => this.#sockets.review(this.#store.bans),
      failed: failed("the control log failed"),
    });
    this.#canary = new Canary({
      node: config.nodeName,
      everyMs: config.limits.canaryIntervalMs,
      channels: this.#store.channels,
      log: this.#store.log,
      heldBytes: config.limits.maxHeldBytes,
      counts: metrics,
      failed: failed("the canary failed"),
    });
    const moderation = new Moderation({ bans: this.#store.bans, control: this.#control, log: this.#store.log });
    const context: RoomContext = {
      moderation,
      blocks: new Blocks(),
      turns: new Turns(ANSWERS_PER_TURN_BYTES),
      types: config.roomTypes,
      application: applicationOf(config, log),
      feeds: this.#feeds,
      log: this.#store.log,
      presence: this.#store.presence,
      seats: this.#seats,
      limits: {
        payloadBytes: config.limits.maxPayloadBytes,
        stateBytes: config.limits.maxStateBytes,
        roomsPerConnection: config.limits.maxRoomsPerConnection,
        graceMs: config.limits.graceSeconds * 1_000,
      },
      counts: metrics,
      roomRates: new RoomRates(config.floods === "off" ? "off" : config.floods.room),
      hearing: () => this.#store.pulse.hearing,
    };
    const { demo, tokens } = config;
    const apiKeys = new ApiKeys(config.api.kind === "off" ? [] : config.api.keys);
    const rooms = new Rooms({
      ...context,
      payloadBytes: config.limits.maxPayloadBytes,
      signal: (event) => this.io.to(event.room).emit("signal", event),
    });
    const api: ApiOptions = {
      apiKeys,
      moderation,
      rooms,
      timeoutMs: config.limits.requestTimeoutMs,
      batchBytes: config.limits.maxBatchBytes,
      failed: (call, error) => log.error({ request: call, err: error }, "a request failed"),
    };
    const slow = slowClientLimits(config.limits.handshakeTimeoutMs);
    this.#public = createServer(
      slow,
      publicApp({ demo, tokens, files: DEMO_FILES, api: config.api.kind === "public-port" ? api : undefined, log }),
    );
    // Each connection of ours needs one, polling for a moment a second; the rest is for handshakes.
    this.#public.maxConnections = 2 * config.limits.maxConnections + config.limits.maxHandshakes;
    this.#public.on("connection", (tcp) => {
      this.#tcp.add(tcp);
      tcp.once("close", () => this.#tcp.delete(tcp));
    });
    this.#api = config.api.kind === "own-port" ? createServer(slow, apiApp(api, log)) : undefined;
    this.#admin = createServer(
      slow,
      adminApp({
        apiKeys,
        beginDrain: () => {
          this.drain().catch(failed("the drain failed"));
        },
        readiness: () => this.#readiness(),
        registry: metrics.registry,
        log,
      }),
    );
    this.#sockets = new SocketServer(this.#public, context, new TokenVerifier(tokens), socketOptions(config), {
      connected: (connection, transport) => {
        metrics.connected(transport);
        log.debug({ connection: connection.id, user: connection.identity.user }, "connected");
      },
      disconnected: (connection, reason) => {
        metrics.disconnected(reason);
        log.debug({ connection: connection.id, reason }, "disconnected");
      },
      served: (request, seconds) => metrics.requestServed(request, seconds),
      rateLimited: (limit) => metrics.rateLimited(limit),
      rejected: (error) => metrics.connectionRefused(error.code),
      refused: (request, error) => metrics.requestRefused(request, error.code),
      failed: (request, connection, error) => {
        metrics.requestRefused(request, "internal");
        log.error({ request, connection, err: error }, "a request failed");
      },
      handshakeFailed: (connection, error) => log.error({ connection, err: error }, "a handshake failed"),
      orderFailed: failed("an order could not be carried out"),
      signalDropped: () => metrics.signalDropped(),
    });
    this.#store.serve(this.#sockets.io, {
      stalled: (since) => {
        log.warn({ since }, "this node does not hear Redis");
        this.#sockets.tell("stalled", { since });
      },
      restored: () => {
        log.info("this node hears Redis again");
        this.#sockets.tell("restored", {});
      },
      renewed: (announced) => this.#seats.renewed(announced),
      putBack: async () => {
        await this.#seats.putBack();
        this.#feeds.suspectAll();
        this.#control.suspect();
        this.#canary.suspect();
      },
    });
  }

  get io(): Server {
    return this.#sockets.io;
  }

  async start(): Promise<Addresses> {
    const { host, port, adminPort, api } = this.#config;
    await listen(this.#admin, adminPort, host);
    await this.#store.ready();
    // Nobody is let in before this node knows who is kept out.
    await this.#control.begin();
    await this.#canary.begin();
    await listen(this.#public, port, host);
    if (this.#api !== undefined && api.kind === "own-port") await listen(this.#api, api.port, host);
    this.#phase = "running";
    const addresses = {
      port: portOf(this.#public),
      adminPort: portOf(this.#admin),
      apiPort: portOf(this.#api ?? this.#public),
    };
    this.#log.info({ host, ...addresses }, "ready");
    return addresses;
  }

  replaceRoomTypes(types: RoomTypes): void {
    this.#config.roomTypes.replaceBy(types);
    this.#sockets.withdraw();
  }

  drain(): Promise<void> {
    this.#phase = "draining";
    this.#drained ??= this.#sockets.drain(this.#config.drainSeconds * 1_000);
    return this.#drained;
  }

  async stop(): Promise<void> {
    await this.drain();
    // Websockets, too: a peer that vanished never answers the closing handshake.
    const cut = setTimeout(() => {
      for (const tcp of this.#tcp) tcp.destroy();
    }, CLOSE_WITHIN_MS);
    await this.#sockets.close();
    clearTimeout(cut);
    this.#seats.close();
    this.#feeds.close();
    this.#control.close();
    this.#canary.close();
    // Redis may be away: the lease then runs out by itself, with the same end.
    await this.#store
      .handOver(this.#config.limits.graceSeconds * 1_000)
      .catch((error: unknown) => this.#log.warn({ err: error }, "the lease could not be handed over"));
    await this.#store.close();
    for (const server of [this.#api, this.#admin]) await closed(server);
    this.#log.info("stopped");
  }

  #gauges(): Gauges {
    return {
      ready: () => this.#readiness().ready,
      draining: () => this.#phase === "draining",
      connections: () => this.#sockets.connections,
      transports: () => this.#sockets.transports(),
      feeds: () => this.#feeds.size,
      owed: () => this.#sockets.owed,
      subscriptions: () => this.#store.health.subscriptions,
      redisConnected: (role) => this.#store.health.connected(role),
      silentMs: () => this.#store.pulse.silentMs,
      unwrittenMs: () => this.#store.pulse.unwrittenMs,
      leaseHeldMs: () => this.#store.health.leaseHeldMs,
      membersSwept: () => this.#store.health.membersSwept,
      canaryPairs: () => this.#canary.pairs(),
      canaryComparedMsAgo: () => this.#canary.comparedMsAgo,
    };
  }

  #readiness(): Readiness {
    if (this.#phase !== "running") return { ready: false, reason: this.#phase };
    const { silentMs, unwrittenMs, refusal } = this.#store.pulse;
    if (silentMs > UNREADY_AFTER_MS) return { ready: false, reason: `Redis has been away for ${silentMs} ms` };
    if (unwrittenMs > UNREADY_AFTER_MS) {
      return { ready: false, reason: `Redis has taken no writes for ${unwrittenMs} ms: ${refusal ?? "no answer"}` };
    }
    if (this.#config.canaryReadiness && this.#canary.failing) {
      return { ready: false, reason: "most canary messages do not reach this node in time" };
    }
    return { ready: true, reason: "running" };
  }
}

/** The application's server, where there is one to ask. */
function applicationOf({ authorize }: Config, log: Logger): Application | undefined {
  if (authorize === undefined) return undefined;
  return new Application({
    put: (question, signal) => askBySignedPost(authorize, question, signal),
    timeoutMs: authorize.timeoutMs,
    maxParallel: authorize.maxParallel,
    lost: (error) => log.warn({ err: error }, "the application's server does not decide"),
    back: () => log.info("the application's server decides again"),
  });
}

/** Whoever sends a request byte by byte, or none at all, is closed: headers have the time of a handshake. */
function slowClientLimits(headersTimeout: number): ServerOptions {
  return {
    headersTimeout,
    requestTimeout: BODY_TIMES_HEADERS * headersTimeout,
    connectionsCheckingInterval: Math.min(LOOK_FOR_SLOW_MS, headersTimeout),
  };
}

function socketOptions(config: Config): ConstructorParameters<typeof SocketServer>[3] {
  const { limits } = config;
  return {
    nodeName: config.nodeName,
    corsOrigins: config.corsOrigins,
    rates: config.rates,
    floods: config.floods,
    addressOf: clientAddress(config.trustedProxies),
    welcomeLimits: welcomeLimits(config),
    maxConnections: limits.maxConnections,
    maxConnectionsPerUser: limits.maxConnectionsPerUser,
    maxConnectionsPerAddress: limits.maxConnectionsPerAddress,
    maxHandshakes: limits.maxHandshakes,
    maxPending: limits.maxPendingRequests,
    requestTimeoutMs: limits.requestTimeoutMs,
    handshakeTimeoutMs: limits.handshakeTimeoutMs,
    outboundBytes: limits.maxOutboundBytes,
    outboundBytesPerNode: limits.maxOutboundBytesPerNode,
    serveClient: config.demo.kind === "on",
  };
}

function welcomeLimits({ limits, rates, dedupeSeconds }: Config): WelcomeLimits {
  const perSecond = rates === "off" ? [] : Object.entries(rates).map(([kind, rate]) => [kind, rate.perSecond] as const);
  return {
    payload: limits.maxPayloadBytes,
    rooms: limits.maxRoomsPerConnection,
    rates: Object.fromEntries(perSecond),
    dedupe: dedupeSeconds,
    grace: limits.graceSeconds,
  };
}

function listen(server: HttpServer, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

async function closed(server: HttpServer | undefined): Promise<void> {
  if (server === undefined) return;
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}

function portOf(server: HttpServer): number {
  return (server.address() as AddressInfo).port;
}
