import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import { join } from "node:path";

const LONGEST_NAME = 200;
const FIRST_LOOK_BYTES = 64 * 1024;

/** One room's file: a message a line. It says by itself how far it goes, so that there is no second thing to keep in step. */
export class RoomFile {
  #path;
  /** `{seq, ts}` of the last message in it. */
  #position;

  constructor(folder, room) {
    const name = encodeURIComponent(room);
    const short = `${name.slice(0, LONGEST_NAME)}~${createHash("sha256").update(room).digest("hex").slice(0, 16)}`;
    this.#path = join(folder, `${name.length > LONGEST_NAME ? short : name}.jsonl`);
  }

  /** Looks where the file ends; what a process left half-written when it died is cut off. */
  async position() {
    this.#position ??= await this.#find();
    return this.#position;
  }

  /** Returns once the lines are on the disk; only then does the position move. */
  async append(lines, position) {
    const file = await open(this.#path, "a");
    try {
      await file.write(`${lines.join("\n")}\n`);
      await file.datasync();
    } finally {
      await file.close();
    }
    this.#position = position;
  }

  async #find() {
    const file = await open(this.#path, "a+");
    try {
      const { size } = await file.stat();
      for (let bytes = FIRST_LOOK_BYTES; ; bytes *= 2) {
        const start = Math.max(0, size - bytes);
        const { buffer, bytesRead } = await file.read(Buffer.alloc(size - start), 0, size - start, start);
        const end = buffer.lastIndexOf(0x0a, bytesRead - 1) + 1;
        if (end === 0 && start > 0) continue;
        if (start + end < size) await file.truncate(start + end);
        // The first piece may be the rest of a line.
        const lines = buffer
          .toString("utf8", 0, end)
          .split("\n")
          .slice(start > 0 ? 1 : 0, -1);
        const last = lines.map((line) => JSON.parse(line)).findLast((line) => line.seq !== undefined);
        if (last !== undefined) return { seq: last.seq, ts: last.ts };
        if (start === 0) return { seq: 0, ts: 0 };
      }
    } finally {
      await file.close();
    }
  }
}
