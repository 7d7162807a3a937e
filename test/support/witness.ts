import type { ManagerOptions, Socket, SocketOptions } from "socket.io-client";
import type { Ack, RequestName, ServerEvents } from "../../src/protocol.ts";
import { connectClient, type Transports } from "./client.ts";
import { signToken } from "./token.ts";

/** Longer than every deadline of the server. */
const ACK_WITHIN_MS = 5_000;

type Ok<Name extends RequestName> = Extract<Ack<Name>, { ok: true }>;
type Refused<Name extends RequestName> = Extract<Ack<Name>, { ok: false }>;

/** An event, or an ack that the witness asked for (`ack joinRoom`), in the order in which the client's code saw it. */
interface Seen {
  readonly name: string;
  readonly payload: unknown;
}

/** A stock client that does nothing by itself and remembers everything that reaches it. */
export class Witness {
  readonly socket: Socket;
  readonly seen: Seen[] = [];

  constructor(socket: Socket) {
    this.socket = socket;
    socket.onAny((name: string, payload: unknown) => this.seen.push({ name, payload }));
  }

  /** All payloads of one event, of one room where it is given. */
  of<Name extends keyof ServerEvents>(name: Name, room?: string): ServerEvents[Name][] {
    const payloads = this.seen.filter((seen) => seen.name === name).map(({ payload }) => payload as ServerEvents[Name]);
    return room === undefined ? payloads : payloads.filter((payload) => "room" in payload && payload.room === room);
  }

  /** Sends a request with whatever arguments, and waits for the ack. */
  ask<Name extends RequestName>(name: Name, ...args: unknown[]): Promise<Ack<Name>> {
    return new Promise((resolve, reject) => {
      // A callback all the way: what follows an await runs after the events that came in the same chunk.
      this.socket.timeout(ACK_WITHIN_MS).emit(name, ...args, (error: Error | null, ack: Ack<Name>) => {
        if (error !== null) {
          reject(new Error(`${name} was not answered: ${error.message}`));
          return;
        }
        this.seen.push({ name: `ack ${name}`, payload: ack });
        resolve(ack);
      });
    });
  }

  /** As `ask`, and rejects where the answer is no. */
  async ok<Name extends RequestName>(name: Name, ...args: unknown[]): Promise<Ok<Name>> {
    const ack = await this.ask(name, ...args);
    if (!ack.ok) throw new Error(`${name} was refused: ${ack.error.code}: ${ack.error.message}`);
    return ack as Ok<Name>;
  }

  /** As `ask`, and rejects where the answer is yes. */
  async refused<Name extends RequestName>(name: Name, ...args: unknown[]): Promise<Refused<Name>> {
    const ack = await this.ask(name, ...args);
    if (ack.ok) throw new Error(`${name} was granted: ${JSON.stringify(ack)}`);
    return ack as Refused<Name>;
  }
}

interface WitnessOptions extends Omit<Partial<ManagerOptions & SocketOptions>, "transports"> {
  readonly transports?: Transports;
  /** The token's claims, or the token itself. */
  readonly claims?: Parameters<typeof signToken>[0];
  readonly token?: string;
}

/** Connects a stock client, waits for `welcome`, and remembers from there on. */
export async function connectWitness(
  url: string,
  { claims, token, ...options }: WitnessOptions = {},
): Promise<Witness> {
  const { socket } = await connectClient(url, token ?? (await signToken(claims)), options);
  return new Witness(socket);
}
