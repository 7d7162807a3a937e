import { io } from "/socket.io/socket.io.esm.min.js";
import { backoff } from "./backoff.js";

/** So many new tokens in a row may be refused before the page stops asking. */
const MAX_TOKEN_REFUSALS = 3;
const RENEW_TIMEOUT_MS = 5_000;

/**
 * One connection to Roomcast by the stock client. It reconnects by itself, renews its token, and says what happened:
 *
 * - `welcome(welcome)`: connected, and to which node
 * - `lost(reason)`: the connection is gone, the client is trying again
 * - `unreachable()`: no node answers, once an outage
 * - `ended(message)`: gone for good, until `start` is called
 * - `stalled(since)`, `restored()`, `draining(withinMs)`, `transport(name)`
 * - `tokenRenewed()`, `tokenNotRenewed(message)`
 */
export class Connection {
  socket;
  #tokens;
  #on;
  #ending;
  #refusals = 0;
  #told = false;
  #stopped = false;
  #timer;

  constructor(tokens, on) {
    this.#tokens = tokens;
    this.#on = on;
    this.socket = io({
      autoConnect: false,
      forceNew: true,
      timeout: 8_000,
      reconnectionDelay: 300,
      reconnectionDelayMax: 3_000,
      // Called for every connection, so a reconnect after hours does not come with an expired token.
      auth: (give) =>
        this.#tokens.current().then(
          (token) => give({ token }),
          (error) => this.#end(error.message),
        ),
    });
    this.#listen();
  }

  /** `polling` or `websocket`. */
  get transport() {
    return this.socket.io.engine.transport.name;
  }

  start() {
    this.#ending = undefined;
    this.#refusals = 0;
    this.socket.connect();
  }

  stop() {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.socket.off();
    this.socket.disconnect();
  }

  #listen() {
    const { socket } = this;
    const on = this.#on;
    socket.on("connect", () => {
      this.#refusals = 0;
      this.#told = false;
      socket.io.engine.on("upgrade", (transport) => on.transport(transport.name));
    });
    socket.on("welcome", on.welcome);
    socket.on("stalled", ({ since }) => on.stalled(since));
    socket.on("restored", () => on.restored());
    socket.on("draining", ({ reconnectWithinMs }) => on.draining(reconnectWithinMs));
    socket.on("ending", (ending) => {
      this.#ending = ending;
    });
    socket.on("tokenExpiring", () => this.#renew());
    socket.on("disconnect", (reason) => {
      // `active`: the stock client comes back by itself. It stays away after the server's own disconnect.
      if (socket.active) on.lost(reason);
      else on.ended(this.#ending?.message ?? "the server ended the connection");
    });
    socket.on("connect_error", (error) => this.#refused(error));
  }

  #refused(error) {
    if (this.socket.active) {
      if (!this.#told) this.#on.unreachable();
      this.#told = true;
      return;
    }
    const code = error.data?.code;
    const badToken = code === "token_expired" || code === "unauthorized";
    if (badToken && this.#tokens.renewable && this.#refusals < MAX_TOKEN_REFUSALS) {
      this.#again(backoff(this.#refusals++), () => this.#tokens.renew());
    } else if (error.data?.retryable) {
      if (!this.#told) this.#on.lost(error.message);
      this.#told = true;
      this.#again(error.data.retryAfterMs ?? backoff(this.#refusals++));
    } else {
      this.#end(error.message);
    }
  }

  #again(delayMs, prepare = async () => undefined) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      prepare().then(
        () => {
          if (!this.#stopped) this.socket.connect();
        },
        (error) => this.#end(error.message),
      );
    }, delayMs);
  }

  #end(message) {
    if (this.#stopped) return;
    this.socket.disconnect();
    this.#on.ended(message);
  }

  #renew() {
    if (!this.#tokens.renewable) {
      this.#on.tokenNotRenewed("it was pasted: leave and paste a new one");
      return;
    }
    const failed = (error) => this.#on.tokenNotRenewed(error.message);
    this.#tokens.renew().then((token) => {
      this.socket.timeout(RENEW_TIMEOUT_MS).emit("renewToken", { token }, (lost, ack) => {
        if (lost) failed(lost);
        else if (ack.ok) this.#on.tokenRenewed();
        else failed(ack.error);
      });
    }, failed);
  }
}
