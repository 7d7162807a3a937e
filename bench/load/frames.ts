/** Opcodes of RFC 6455. */
export const OPCODE = { text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

const FINAL = 0x80;
const MASKED = 0x80;
const SHORT = 126;
const LONG = 127;
const LONGEST_SHORT = 65_536;
/** Any key but zero: receivers may leave that one out. */
const KEY = Buffer.from([0x5a, 0xc3, 0x31, 0x0f]);
const EMPTY = Buffer.alloc(0);

/** A websocket frame as a client writes it. */
export function clientFrame(payload: string | Buffer, opcode: number = OPCODE.text): Buffer {
  const body = Buffer.from(payload as string);
  const { length } = body;
  const extra = length < SHORT ? 0 : length < LONGEST_SHORT ? 2 : 8;
  const frame = Buffer.allocUnsafe(2 + extra + KEY.length + length);
  frame[0] = FINAL | opcode;
  frame[1] = MASKED | (extra === 0 ? length : extra === 2 ? SHORT : LONG);
  if (extra === 2) frame.writeUInt16BE(length, 2);
  if (extra === 8) frame.writeBigUInt64BE(BigInt(length), 2);
  KEY.copy(frame, 2 + extra);
  const start = 2 + extra + KEY.length;
  for (let i = 0; i < length; i++) frame[start + i] = (body[i] ?? 0) ^ (KEY[i & 3] ?? 0);
  return frame;
}

/** Takes one frame that is whole: its payload is `buffer` from `start` to `end`. */
export type OnFrame = (opcode: number, buffer: Buffer, start: number, end: number) => void;

/** Cuts what a server sends into frames, without copying those that came whole. */
export class FrameReader {
  readonly #onFrame: OnFrame;
  #rest: Buffer = EMPTY;

  constructor(onFrame: OnFrame) {
    this.#onFrame = onFrame;
  }

  push(chunk: Buffer): void {
    const buffer = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = 0;
    while (buffer.length - at >= 2) {
      let length = (buffer[at + 1] ?? 0) & 0x7f;
      let start = at + 2;
      if (length === SHORT) {
        if (buffer.length - at < 4) break;
        length = buffer.readUInt16BE(start);
        start += 2;
      } else if (length === LONG) {
        if (buffer.length - at < 10) break;
        length = Number(buffer.readBigUInt64BE(start));
        start += 8;
      }
      if (buffer.length - start < length) break;
      this.#onFrame((buffer[at] ?? 0) & 0x0f, buffer, start, start + length);
      at = start + length;
    }
    // A copy: a slice would keep the whole chunk in memory.
    this.#rest = at === buffer.length ? EMPTY : Buffer.from(buffer.subarray(at));
  }
}
