/** Reads a reply of one line, words with spaces between, such as `epoch seq ts`. */
export function readWords<Name extends string>(reply: unknown, names: readonly Name[]): Record<Name, string> {
  return wordsOf(Buffer.isBuffer(reply) ? reply.toString("latin1") : "", names);
}

/** As `readWords`, of one line of a reply. */
export function wordsOf<Name extends string>(line: string, names: readonly Name[]): Record<Name, string> {
  const words = line.split(" ");
  if (words.length !== names.length) throw new Error(`a script answered something else than ${names.join(" ")}`);
  return Object.fromEntries(names.map((name, index) => [name, words[index]])) as Record<Name, string>;
}

/** Reads a reply that is a list. */
export function readList(reply: unknown): readonly unknown[] {
  if (!Array.isArray(reply)) throw new Error("a script answered something else than a list");
  return reply;
}

/** Reads a reply that is lines of ASCII. */
export function readLines(reply: unknown): readonly string[] {
  if (!Buffer.isBuffer(reply)) throw new Error("a script answered something else than lines");
  return reply.toString("latin1").split("\n");
}

/** Reads a reply that is a text. */
export function readText(reply: unknown): string {
  if (!Buffer.isBuffer(reply)) throw new Error("a script answered something else than a text");
  return reply.toString();
}
