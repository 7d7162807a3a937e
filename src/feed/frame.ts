/** Engine.IO "message" and Socket.IO "event", in front of the JSON array of an event's arguments. */
const ENGINE_MESSAGE = "4";
const SOCKET_EVENT = "2";
const FIN_TEXT = 0x81;

/**
 * One event, or several in a row, for many connections: encoded once, as a whole unmasked websocket frame (RFC 6455, section 5.2), and as the
 * text that polling needs. The text is only made where somebody asks for it.
 */
export class Frame {
  readonly websocket: Buffer;
  /** The events in it, for who cannot take them together. */
  readonly parts: readonly Frame[];
  readonly #start: number;
  #text: string | undefined;

  private constructor(websocket: Buffer, start: number, parts?: readonly Frame[]) {
    this.websocket = websocket;
    this.#start = start;
    this.parts = parts ?? [this];
  }

  /** Several frames as one write, in their order; at least one. */
  static joined(frames: readonly Frame[]): Frame {
    const [first] = frames;
    if (first === undefined) throw new RangeError("no frame to write");
    if (frames.length === 1) return first;
    return new Frame(Buffer.concat(frames.map(({ websocket }) => websocket)), 0, [...frames]);
  }

  /** `name` is the event's name, `payload` the JSON text of its one argument. */
  static ofEvent(name: string, payload: Buffer | string): Frame {
    return Frame.#of(`${ENGINE_MESSAGE}${SOCKET_EVENT}[${JSON.stringify(name)},`, payload, "]");
  }

  /** A packet that Socket.IO encoded as text. */
  static ofPacket(packet: string): Frame {
    return Frame.#of(ENGINE_MESSAGE, packet, "");
  }

  /** The websocket frame of three pieces in a row; `head` and `tail` are ASCII. */
  static #of(head: string, payload: Buffer | string, tail: string): Frame {
    const size = head.length + Buffer.byteLength(payload) + tail.length;
    const header = size < 126 ? 2 : size < 65_536 ? 4 : 10;
    const bytes = Buffer.allocUnsafe(header + size);
    bytes[0] = FIN_TEXT;
    if (header === 2) {
      bytes[1] = size;
    } else if (header === 4) {
      bytes[1] = 126;
      bytes.writeUInt16BE(size, 2);
    } else {
      bytes[1] = 127;
      bytes.writeUInt32BE(0, 2);
      bytes.writeUInt32BE(size, 6);
    }
    let at = header + bytes.write(head, header);
    at += typeof payload === "string" ? bytes.write(payload, at) : payload.copy(bytes, at);
    bytes.write(tail, at);
    return new Frame(bytes, header + ENGINE_MESSAGE.length);
  }

  /** The Socket.IO packet as text, without Engine.IO's first character; of a single event only. */
  get text(): string {
    this.#text ??= this.websocket.toString("utf8", this.#start);
    return this.#text;
  }
}
