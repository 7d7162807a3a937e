import { createServer, type Server as HttpServer } from "node:http";
import type { Server as HttpsServer } from "node:https";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Socket as IoSocket, Server } from "socket.io";
import { ApiKeys } from "./auth/api-keys.ts";
import { Application } from "./auth/application.ts";
import type { RoomTypes } from "./auth/room-types.ts";
import { askBySignedPost } from "./auth/signed-question.ts";
import { TokenVerifier } from "./auth/tokens.ts";
import { Canary } from "./canary/canary.ts";
import { type Config, parseConfig } from "./config/config.ts";
import {
  type Addresses,
  type Asked,
  askedByHook,
  type HookSettings,
  hooksOf,
  type NodeOptions,
  type RoomcastNode,
  type SocketIdentity,
} from "./embedding.ts";
import { Feeds } from "./feed/feeds.ts";
import { adminApp, type Readiness } from "./http/admin-app.ts";
import { type ApiOptions, apiApp } from "./http/api.ts";
import { ApiRates } from "./http/api-rates.ts";
import { DEMO_FILES } from "./http/demo.ts";
import { closed, listen, portOf, TcpConnections } from "./http/listening.ts";
import { publicServer } from "./http/public-server.ts";
import { Intervals } from "./intervals.ts";
import { memoryStore } from "./memory-store.ts";
import { Blocks } from "./moderation/blocks.ts";
import { ControlLog } from "./moderation/control-log.ts";
import { Moderation } from "./moderation/moderation.ts";
import { httpTimeouts, socketOptions } from "./node-settings.ts";
import { LoadGauge } from "./nodes/load-gauge.ts";
import type { NodeLoad } from "./nodes/node-list.ts";
import { OccupiedRooms } from "./presence/occupied-rooms.ts";
import { Seats } from "./presence/seats.ts";
import { redisStore } from "./redis-store.ts";
import type { RoomContext } from "./room/context.ts";
import { EmbeddedRooms, type NodeRooms } from "./room/embedded-rooms.ts";
import { timedHooks } from "./room/hooks.ts";
import { RoomRates } from "./room/rates.ts";
import { Rooms } from "./room/rooms.ts";
import { SendTurns } from "./room/send-turns.ts";
import { Turns } from "./room/turns.ts";
import { SocketServer } from "./socket/server.ts";
import type { Store } from "./store.ts";
import { createLogger, type Logger } from "./telemetry/log.ts";
import { type Gauges, Metrics } from "./telemetry/metrics.ts";
import { VERSION } from "./version.ts";
import { NO_DEAD_LETTERS } from "./webhooks/dead-letters.ts";

/** Redis may be away, or take no writes, for this long before the balancer is told, so that a blip does not empty it. In milliseconds. */
const UNREADY_AFTER_MS = 3_000;

/** Messages in answers that are encoded in one turn of the event loop: some milliseconds, in bytes. */
const ANSWERS_PER_TURN_BYTES = 1024 * 1024;

/** How long a stop waits for connections to end by themselves, in milliseconds. */
const CLOSE_WITHIN_MS = 2_000;

/**
 * Puts one node together: the only place that picks concrete classes. Nothing is listened to, and nobody let in, before
 * `start`. Throws `ConfigError` where the environment makes no configuration, and `TypeError` or `RangeError` for options
 * that do not go together.
 */
export function createNode(options: NodeOptions = {}): RoomcastNode {
  const config = options.config ?? parseConfig(process.env);
  const log = options.log ?? createLogger(config.logLevel, config.nodeName);
  const settings = hooksOf(options, config);
  for (const warning of config.warnings) log.warn(warning);
  return new Node(config, log, settings, options);
}

class Node implements RoomcastNode {
  readonly #config: Config;
  readonly #log: Logger;
  readonly #store: Store;
  readonly #feeds: Feeds;
  readonly #occupied: OccupiedRooms;
  readonly #seats: Seats;
  readonly #sockets: SocketServer;
  readonly #public: HttpServer | HttpsServer;
  readonly rooms: NodeRooms;
  readonly #admin: HttpServer;
  readonly #api: HttpServer | undefined;
  readonly #control: ControlLog;
  readonly #startedAt = Date.now();
  readonly #gauge = new LoadGauge();
  readonly #canary: Canary;
  #phase: "starting" | "running" | "draining" = "starting";
  #drained: Promise<void> | undefined;
  readonly #tcp: TcpConnections;

  constructor(config: Config, log: Logger, { hooks, timeoutMs: hookTimeoutMs }: HookSettings, host: NodeOptions) {
    this.#config = config;
    this.#log = log;
    const failed = (where: string) => (error: unknown) => log.error({ err: error }, where);
    const metrics = new Metrics({
      node: config.nodeName,
      gauges: this.#gauges(),
      topRooms: config.limits.metricsTopRooms,
      isConfigured: (type) => config.roomTypes.isConfigured(type),
    });
    const intervals = new Intervals((lateMs) => metrics.eventLoopDelayed(lateMs / 1_000));
    this.#store =
      config.redis.kind === "memory" ? memoryStore(config) : redisStore(config, config.redis, log, intervals, metrics);
    this.#feeds = new Feeds({
      intervals,
      channels: this.#store.channels,
      log: this.#store.log,
      limits: { heldBytes: config.limits.maxHeldBytes, lingerMs: config.limits.feedLingerMs },
      counts: metrics,
      policyOf: (room) => config.roomTypes.of(room),
      failed: (room, error) => log.error({ room, err: error }, "a feed failed"),
      lost: (room) => this.#seats.putBackIn(room),
    });
    this.#occupied = new OccupiedRooms(this.#store.directory, intervals);
    this.#seats = new Seats(
      this.#store.presence,
      this.#store.index,
      this.#occupied,
      failed("a seat could not be taken again or given up"),
    );
    this.#control = new ControlLog({
      intervals,
      channels: this.#store.channels,
      log: this.#store.log,
      heldBytes: config.limits.maxHeldBytes,
      apply: (order) => this.#sockets.apply(order),
      review: () => this.#sockets.review(this.#store.bans),
      failed: failed("the control log failed"),
    });
    this.#canary = new Canary({
      intervals,
      node: config.nodeName,
      everyMs: config.limits.canaryIntervalMs,
      channels: this.#store.channels,
      log: this.#store.log,
      heldBytes: config.limits.maxHeldBytes,
      counts: metrics,
      failed: failed("the canary failed"),
    });
    const moderation = new Moderation({
      bans: this.#store.bans,
      control: this.#control,
      log: this.#store.log,
      endStoppedGrace: (of) => this.#store.endStoppedGrace(of),
    });
    const context: RoomContext = {
      moderation,
      blocks: new Blocks(),
      turns: new Turns(ANSWERS_PER_TURN_BYTES),
      types: config.roomTypes,
      application: applicationOf(config, askedByHook(hooks, hookTimeoutMs), log),
      hooks: timedHooks(hooks, {
        timeoutMs: hookTimeoutMs,
        failed: (hook, error) => log.error({ hook, err: error }, "a hook failed"),
      }),
      sendTurns: new SendTurns(),
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
      directory: this.#store.directory,
      payloadBytes: config.limits.maxPayloadBytes,
      signal: (event) => this.io.to(event.room).emit("signal", event),
    });
    const api: ApiOptions = {
      apiKeys,
      moderation,
      nodes: this.#store.nodes,
      rates: new ApiRates(config.apiRate),
      rooms,
      deadLetters: this.#store.webhooks?.dead ?? NO_DEAD_LETTERS,
      timeoutMs: config.limits.requestTimeoutMs,
      batchBytes: config.limits.maxBatchBytes,
      served: (call) => metrics.apiCallServed(call),
      refused: (code) => metrics.apiCallRefused(code),
      failed: (call, requestId, error) => {
        metrics.apiCallRefused("internal");
        log.error({ request: call, requestId, err: error }, "a request failed");
      },
    };
    this.rooms = new EmbeddedRooms({ rooms, moderation, timeoutMs: config.limits.requestTimeoutMs });
    const slow = httpTimeouts(config.limits.handshakeTimeoutMs);
    const publicApi = config.api.kind === "public-port" ? api : undefined;
    this.#public = publicServer(host, slow, { demo, tokens, files: DEMO_FILES, api: publicApi, log });
    // Each connection of ours needs one, polling for a moment a second; the rest is for handshakes.
    if (host.server === undefined) {
      this.#public.maxConnections = 2 * config.limits.maxConnections + config.limits.maxHandshakes;
    }
    this.#tcp = new TcpConnections(this.#public);
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
    this.#sockets = new SocketServer(
      this.#public,
      context,
      verifierOf(config, log),
      socketOptions(config, host.keepRequests ?? true, intervals),
      {
        connected: ({ id, from, identity }, transport) => {
          metrics.connected(transport);
          log.debug({ connection: id, user: identity.user }, "connected");
          this.#store.webhooks?.opened({ connection: id, user: from, node: config.nodeName });
        },
        disconnected: ({ id }, reason) => {
          metrics.disconnected(reason);
          log.debug({ connection: id, reason }, "disconnected");
          this.#store.webhooks?.closed(id, reason);
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
      },
    );
    this.#store.serve(this.#sockets.io, {
      stalled: (since) => {
        log.warn({ since }, "this node does not hear Redis");
        this.#sockets.tell("stalled", { since });
      },
      restored: () => {
        log.info("this node hears Redis again");
        this.#sockets.tell("restored", {});
      },
      renewed: (because, keptUntil) => {
        this.#seats.renewed(because === "claimed", because === "lost" ? 0 : keptUntil);
        if (because === "moved") this.#feeds.recount(keptUntil);
      },
      putBack: async () => {
        try {
          await this.#seats.putBack();
        } finally {
          this.#feeds.suspectAll();
          this.#control.suspect();
          this.#canary.suspect();
        }
      },
      load: () => this.#load(),
    });
  }

  get io(): Server {
    return this.#sockets.io;
  }

  identityOf(socket: IoSocket): SocketIdentity {
    const { user, name, expiresAt } = this.#sockets.identityOf(socket);
    return name === undefined ? { user, expiresAt } : { user, name, expiresAt };
  }

  async start(): Promise<Addresses> {
    const { host, port, adminPort, api } = this.#config;
    await listen(this.#admin, adminPort, host);
    await this.#store.ready();
    // Nobody is let in before this node knows who is kept out.
    await this.#control.begin();
    await this.#canary.begin();
    this.#sockets.open();
    if (!this.#public.listening) await listen(this.#public, port, host);
    if (this.#api !== undefined && api.kind === "own-port") await listen(this.#api, api.port, host);
    // Asked to drain while it waited for Redis, it stays unready.
    if (this.#phase === "starting") this.#phase = "running";
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
    this.#feeds.adoptPolicies();
    this.#sockets.withdraw();
  }

  drain(): Promise<void> {
    this.#phase = "draining";
    // Whoever still comes after a drain is handed over by the next one.
    this.#drained ??= this.#sockets.drain(this.#config.drainSeconds * 1_000).finally(() => {
      this.#drained = undefined;
    });
    return this.#drained;
  }

  async stop(): Promise<void> {
    await this.drain();
    const cut = setTimeout(() => {
      this.#tcp.destroy();
      this.#public.closeAllConnections();
    }, CLOSE_WITHIN_MS);
    await this.#sockets.close();
    clearTimeout(cut);
    this.#occupied.close();
    this.#feeds.close();
    this.#canary.close();
    // Redis may be away: the lease then runs out by itself, with the same end.
    await this.#handOver().catch((error: unknown) =>
      this.#log.warn({ err: error }, "the lease could not be handed over"),
    );
    this.#control.close();
    this.#seats.close();
    await this.#store.close();
    for (const server of [this.#api, this.#admin]) await closed(server);
    this.#log.info("stopped");
  }

  /** Members are left to the others. Whoever was put out until then is put out here. */
  async #handOver(): Promise<void> {
    await this.#store.handOver(this.#config.limits.graceSeconds * 1_000);
    // What was heard in this turn is acted on in it.
    await nextTurn();
    await this.#seats.finishLeaving();
  }

  #load(): NodeLoad {
    return {
      name: this.#config.nodeName,
      startedAt: this.#startedAt,
      connections: this.#sockets.connections,
      rooms: this.#feeds.size,
      eventLoopUtilization: this.#gauge.utilization(),
      draining: this.#phase === "draining",
      version: VERSION,
    };
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
      redisMemory: () => this.#store.health.memory,
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

function verifierOf({ tokens }: Config, log: Logger): TokenVerifier {
  return new TokenVerifier(tokens, {
    lost: (error) => log.warn({ err: error }, "the keys of JWKS_URL cannot be read"),
    back: () => log.info("the keys of JWKS_URL can be read again"),
  });
}

/** The application, where it is to be asked: by its hook or at its server. */
function applicationOf({ authorize }: Config, hook: Asked | undefined, log: Logger): Application | undefined {
  const asked: Asked | undefined =
    authorize === undefined
      ? hook
      : { ...authorize, put: (question, signal) => askBySignedPost(authorize, question, signal) };
  if (asked === undefined) return undefined;
  return new Application({
    ...asked,
    lost: (error) => log.warn({ err: error }, "the application's server does not decide"),
    back: () => log.info("the application's server decides again"),
  });
}
