import { readFile } from "node:fs/promises";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "..");

/** What a node of the stock target runs. */
export function stockScript(): string {
  return join(import.meta.dirname, "stock-node.ts");
}

/** What took part in a run, with the versions that are installed. */
export async function versions(redisVersion: string): Promise<string> {
  const packages = await Promise.all(
    ["socket.io", "socket.io-client", "@socket.io/redis-adapter", "ioredis"].map(async (name) => {
      const text = await readFile(join(ROOT, "node_modules", name, "package.json"), "utf8");
      return `${name} ${(JSON.parse(text) as { version: string }).version}`;
    }),
  );
  return [`Node ${process.version}`, redisVersion, ...packages].join(", ");
}
