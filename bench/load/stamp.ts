/** What marks a message in the stream of any protocol: nothing else has it. */
const MARK = Buffer.from("~!~");
const DIGITS = 12;
const MICROSECONDS_PER_MS = 1_000;

/** Microseconds of this process' clock. */
export function nowMicros(): number {
  return Math.round(performance.now() * MICROSECONDS_PER_MS);
}

/** A message's data of so many bytes: the mark, when it was written, and padding. */
export function stampedText(bytes: number, micros: number): string {
  return `${MARK.toString()}${String(micros).padStart(DIGITS, "0")}`.padEnd(bytes, ".");
}

/** Finds the messages between `start` and `end` and calls back with the time at which each was written. */
export function eachStamp(buffer: Buffer, start: number, end: number, each: (micros: number) => void): void {
  for (let at = buffer.indexOf(MARK, start); at !== -1 && at < end; at = buffer.indexOf(MARK, at)) {
    at += MARK.length;
    let micros = 0;
    for (let i = 0; i < DIGITS; i++) micros = micros * 10 + (buffer[at + i] ?? 0) - 0x30;
    each(micros);
  }
}
