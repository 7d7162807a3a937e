import type { Authorized, Question } from "../auth/signed-question.ts";
import { RoomcastError } from "../errors.ts";
import { checkFields } from "../fields.ts";
import { eventSchema, type Message } from "../protocol.ts";

/** A join that is permitted, and about to happen. */
export interface Joining {
  readonly user: Message["from"];
  /** The id of the connection, as `welcome` tells it: that of its Socket.IO socket. */
  readonly connection: string;
  readonly room: string;
}

/** A client's message that is permitted, and about to be stored. */
export interface Sending extends Joining {
  readonly id: string;
  readonly event: string;
  /** What the client sent: any JSON. It is not yet known whether it is small enough. */
  readonly data: unknown;
}

/** What is stored in place of what the client sent; what is left out stays as it was. */
export interface Change {
  readonly event?: string;
  readonly data?: unknown;
}

/**
 * The embedding application's say. Each call has `hookTimeoutMs`. Where one that comes before something throws a
 * `RoomcastError`, that is the answer; where it throws anything else the answer is `internal`, and where it takes too long
 * `unavailable`: both are logged, and nothing happens that was asked about.
 */
export interface Hooks {
  /**
   * Asked about rooms that the token does not cover, in place of `AUTHORIZE_URL` and by the same rules: one question at a
   * time about a user in a room, the answer is remembered, and whatever fails is `unavailable`. `permissions` are those of
   * tokens.
   */
  authorize?(question: Question): Authorized | Promise<Authorized>;
  /** Before each join, also of clients that come back. What it returns does not matter. */
  beforeJoin?(joining: Joining): unknown;
  /**
   * Before a client's message is stored; may return what is stored instead. What servers send (`/v1`, `node.rooms`) is the
   * application's own, and not asked about. One connection's messages to a room keep their order, however long each takes.
   */
  // biome-ignore lint/suspicious/noConfusingVoidType: a hook that returns nothing changes nothing.
  beforeSend?(sending: Sending): Change | void | Promise<Change | void>;
  /**
   * After this node stored a message, whoever sent it. Nobody waits for it, and what it throws is logged. At most once: a
   * node that dies calls nothing.
   */
  afterSend?(message: Message): unknown;
}

/** The hooks with their time limits; undefined where the application has none, so that nothing is paid for it. */
export interface TimedHooks {
  readonly beforeJoin: ((joining: Joining) => Promise<void>) | undefined;
  readonly beforeSend: ((sending: Sending) => Promise<Change>) | undefined;
  readonly afterSend: ((message: Message) => void) | undefined;
}

export interface HookOptions {
  readonly timeoutMs: number;
  /** A hook threw, took too long, or was not called because too many are under way. */
  failed(hook: keyof Hooks, error: unknown): void;
}

/** Most calls of `afterSend` under way: past them messages are passed over, and the log says so. */
const MOST_AFTER_SENDS = 1_000;

/** Hooks with their time limits. */
export function timedHooks(hooks: Hooks, options: HookOptions): TimedHooks {
  const before = async <Value>(hook: keyof Hooks, call: () => Value | Promise<Value>): Promise<Value> => {
    try {
      return await inTime(hook, options.timeoutMs, call);
    } catch (error) {
      if (error instanceof RoomcastError && !(error instanceof TookTooLong)) throw error;
      options.failed(hook, error);
      throw error instanceof RoomcastError ? error : new RoomcastError("internal", undefined, { cause: error });
    }
  };
  return {
    beforeJoin:
      hooks.beforeJoin &&
      (async (joining) => {
        await before("beforeJoin", () => hooks.beforeJoin?.(joining));
      }),
    beforeSend:
      hooks.beforeSend && ((sending) => before("beforeSend", async () => changeOf(await hooks.beforeSend?.(sending)))),
    afterSend: hooks.afterSend && afterSend((message) => hooks.afterSend?.(message), options),
  };
}

/** Rejects once the time is over; what the call does later counts for nothing. */
export async function inTime<Value>(
  hook: keyof Hooks,
  timeoutMs: number,
  call: () => Value | Promise<Value>,
): Promise<Value> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new TookTooLong(hook, timeoutMs)), timeoutMs);
  try {
    return await Promise.race([call(), promise]);
  } finally {
    clearTimeout(timer);
  }
}

class TookTooLong extends RoomcastError {
  constructor(hook: keyof Hooks, timeoutMs: number) {
    super("unavailable", `the application's ${hook} did not answer within ${timeoutMs} ms: try again`);
  }
}

function changeOf(returned: unknown): Change {
  if (returned === undefined) return {};
  if (typeof returned !== "object" || returned === null) {
    throw new TypeError("beforeSend must return nothing, or an object with data or event");
  }
  const { event, data } = returned as { event?: unknown; data?: unknown };
  const checked = checkFields(eventSchema.optional(), event, "the event that beforeSend returned");
  if (!checked.ok) throw new TypeError(checked.problems.join("; "));
  return {
    ...(checked.value !== undefined && { event: checked.value }),
    ...(data !== undefined && { data }),
  };
}

function afterSend(
  call: (message: Message) => unknown,
  { timeoutMs, failed }: HookOptions,
): (message: Message) => void {
  let underWay = 0;
  let passedOver = 0;
  const run = async (message: Message) => {
    try {
      await inTime("afterSend", timeoutMs, () => call(message));
    } catch (error) {
      failed("afterSend", error);
    }
  };
  const ended = () => {
    underWay -= 1;
    if (underWay > 0 || passedOver === 0) return;
    failed("afterSend", new Error(`${passedOver} messages were passed over`));
    passedOver = 0;
  };
  return (message) => {
    if (underWay >= MOST_AFTER_SENDS) {
      if (passedOver === 0)
        failed("afterSend", new Error(`${MOST_AFTER_SENDS} calls are under way: passing messages over`));
      passedOver += 1;
      return;
    }
    underWay += 1;
    // After the turn in which the sender is answered: the hook's own work must not hold that up.
    setImmediate(() => {
      run(message).then(ended, ended);
    });
  };
}
