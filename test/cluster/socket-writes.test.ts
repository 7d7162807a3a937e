import fs from "node:fs";
import type { IncomingMessage } from "node:http";
import { syncBuiltinESMExports } from "node:module";
import type { Socket as TcpSocket } from "node:net";
import { expect, it } from "vitest";
import { connectClient } from "../support/client.ts";
import { startEmbedded } from "../support/embedded.ts";
import { eventually } from "../support/eventually.ts";
import { describeWithRedis } from "../support/redis.ts";
import { stopsWithTest } from "../support/teardown.ts";
import { signToken } from "../support/token.ts";

const WRITES = ["writev", "writeBuffer", "writeLatin1String", "writeUtf8String", "writeAsciiString"];

/** What a TCP connection hands to the operating system from now on: one element for each system call, with its bytes. */
function writesOf(tcp: TcpSocket): string[] {
  const writes: string[] = [];
  const handle: unknown = Reflect.get(tcp, "_handle");
  if (typeof handle !== "object" || handle === null) throw new Error("this connection has no handle");
  for (const name of WRITES) {
    const write: unknown = Reflect.get(handle, name);
    if (typeof write !== "function") throw new Error(`the handle of a connection has no ${name}`);
    Reflect.set(handle, name, (request: object, ...data: unknown[]) => {
      writes.push(data.flat().join(""));
      return Reflect.apply(write, handle, [request, ...data]);
    });
  }
  const { writeSync } = fs;
  const stop = () => {
    fs.writeSync = writeSync;
    syncBuiltinESMExports();
  };
  fs.writeSync = (fd: number, ...data: unknown[]) => {
    if (fd === Reflect.get(handle, "fd")) writes.push(data.join(""));
    return Reflect.apply(writeSync, fs, [fd, ...data]);
  };
  syncBuiltinESMExports();
  stopsWithTest(stop);
  return writes;
}

describeWithRedis("a client that connects by websocket and joins", () => {
  it("is written to three times: the opening, the connection with its welcome, the acknowledgement", async () => {
    const { node, url } = await startEmbedded();
    let writes: string[] = [];
    node.io.engine.on("initial_headers", (_headers: object, request: IncomingMessage) => {
      writes = writesOf(request.socket);
    });
    const { socket } = await connectClient(url, await signToken({ sub: "ann" }));
    expect(await socket.emitWithAck("joinRoom", { room: "chat:1" })).toMatchObject({ ok: true });
    expect(writes).toEqual([
      expect.stringMatching(/^HTTP\/1\.1 101 [\s\S]*\r\n\r\n[\s\S]*0\{"sid":/),
      expect.stringMatching(/^[\s\S]{1,4}40\{"sid":[\s\S]*42\["welcome",/),
      expect.stringMatching(/^[\s\S]{1,4}430\[\{"ok":true,/),
    ]);
  });

  it("is written to twice for ten messages that it sends at once: the acknowledgements, and the messages", async () => {
    const { node, url } = await startEmbedded();
    let tcp: TcpSocket | undefined;
    node.io.engine.on("initial_headers", (_headers: object, request: IncomingMessage) => {
      tcp = request.socket;
    });
    const { socket } = await connectClient(url, await signToken({ sub: "ann" }));
    expect(await socket.emitWithAck("joinRoom", { room: "chat:1" })).toMatchObject({ ok: true });
    if (tcp === undefined) throw new Error("no connection was seen");
    const heard: number[] = [];
    socket.on("message", ({ data }: { data: number }) => heard.push(data));
    const writes = writesOf(tcp);
    const numbers = Array.from({ length: 10 }, (_, number) => number);
    const acks = await Promise.all(numbers.map((data) => socket.emitWithAck("sendMessage", { room: "chat:1", data })));
    await eventually(() => expect(heard).toEqual(numbers));
    expect(acks.map(({ seq }: { seq: number }) => seq)).toEqual(numbers.map((number) => number + 1));
    const [answers, messages] = writes
      .map((text) => [text.match(/43\d+\[\{"ok":true,/g)?.length ?? 0, text.match(/42\["message",/g)?.length ?? 0])
      .toSorted((a, b) => (b[0] ?? 0) - (a[0] ?? 0));
    expect([answers, messages]).toEqual([
      [10, 0],
      [0, 10],
    ]);
    expect(writes).toHaveLength(2);
  });
});
