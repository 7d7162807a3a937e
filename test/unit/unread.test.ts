import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { Intervals } from "../../src/intervals.ts";
import { OutboundBudget } from "../../src/socket/outbound-budget.ts";
import { Unread } from "../../src/socket/unread.ts";
import { eventually } from "../support/eventually.ts";
import { stopsWithTest } from "../support/teardown.ts";

const MIB = 1024 * 1024;

/** One end of a TCP connection that was given more than the kernel takes, and the other, which reads nothing yet. */
async function unreadConnection(): Promise<{ server: Socket; client: Socket }> {
  const listening = createServer().listen(0, "127.0.0.1");
  await once(listening, "listening");
  const client = connect((listening.address() as AddressInfo).port, "127.0.0.1");
  const [server]: Socket[] = await once(listening, "connection");
  if (server === undefined) throw new Error("nobody came");
  stopsWithTest(() => {
    client.destroy();
    server.destroy();
    listening.close();
  });
  server.on("error", () => undefined);
  client.on("error", () => undefined).pause();
  server.write(Buffer.alloc(24 * MIB));
  return { server, client };
}

describe("what a client that is gone has left unread", () => {
  it("[G6] counts until it is read, and is cut off after half a minute", async () => {
    const { server, client } = await unreadConnection();
    const intervals = new Intervals(() => undefined);
    const budget = new OutboundBudget({ maxBytes: 64 * MIB, everybody: () => [], intervals });
    stopsWithTest(() => budget.stop());
    const unread = new Unread(server);
    budget.owes(unread);
    await eventually(() => expect(budget.owed).toBeGreaterThan(MIB));
    unread.bound();
    expect(server.destroyed).toBe(false);
    client.resume();
    await eventually(() => expect(budget.owed).toBe(0));

    const { server: other } = await unreadConnection();
    vi.useFakeTimers({ toFake: ["performance"] });
    onTestFinished(() => void vi.useRealTimers());
    const left = new Unread(other);
    vi.advanceTimersByTime(29_000);
    left.bound();
    expect(other.destroyed).toBe(false);
    vi.advanceTimersByTime(2_000);
    left.bound();
    expect(other.destroyed).toBe(true);
    expect(left.owed).toBe(0);
  });
});
