import { createHash } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Decoder, type Packet } from "socket.io-parser";
import { describe, expect, it } from "vitest";
import { Frame } from "../../src/feed/frame.ts";

/** RFC 6455, section 1.3: what the accept header is made with. */
const WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** What a real websocket client makes of the bytes. */
async function receive(frame: Frame): Promise<string> {
  const server = createServer().on("upgrade", (request, socket) => {
    const accept = createHash("sha1")
      .update(`${request.headers["sec-websocket-key"]}${WEBSOCKET_GUID}`)
      .digest("base64");
    const head = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"];
    socket.write([...head, `Sec-WebSocket-Accept: ${accept}`, "", ""].join("\r\n"));
    socket.write(frame.websocket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const client = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
  try {
    return await new Promise<string>((resolve, reject) => {
      client.onmessage = ({ data }) => resolve(String(data));
      client.onerror = () => reject(new Error("the frame was refused"));
    });
  } finally {
    client.close();
    server.closeAllConnections();
    server.close();
  }
}

function decode(text: string): Packet {
  const packets: Packet[] = [];
  const decoder = new Decoder();
  decoder.on("decoded", (packet: Packet) => packets.push(packet));
  decoder.add(text);
  const [packet] = packets;
  if (packet === undefined) throw new Error(`no packet in ${text}`);
  return packet;
}

describe("Frame", () => {
  // 125, 126, 65535 and 65536 bytes are where RFC 6455's length field changes its form.
  const sizes = [0, 1, 100, 107, 108, 109, 110, 111, 65_510, 65_515, 65_516, 65_517, 65_518, 65_519, 65_520, 200_000];
  it.each(sizes)("carries a body of %i bytes as one websocket frame and as text", async (size) => {
    const payload = { text: "x".repeat(size) };
    const body = JSON.stringify(payload);
    for (const form of [body, Buffer.from(body)]) {
      const frame = Frame.ofEvent("message", form);
      const received = await receive(frame);
      expect(received).toBe(`4${frame.text}`);
      expect(decode(frame.text).data).toEqual(["message", payload]);
    }
  });

  it("is one write for several events, which each can be had by itself", async () => {
    const bodies = ["a", "b".repeat(70_000), "c"].map((text) => JSON.stringify({ text }));
    const frames = bodies.map((body) => Frame.ofEvent("message", body));
    const joined = Frame.joined(frames);
    expect(joined.websocket).toEqual(Buffer.concat(frames.map(({ websocket }) => websocket)));
    expect(joined.parts).toEqual(frames);
    const [first] = frames;
    if (first === undefined) throw new Error("three frames");
    expect(first.parts).toEqual([first]);
    expect(Frame.joined([first])).toBe(first);
  });

  it("carries any Unicode", async () => {
    const payload = { text: '"\u2028\\ é 😀' };
    const frame = Frame.ofEvent('na"me', JSON.stringify(payload));
    expect(decode((await receive(frame)).slice(1)).data).toEqual(['na"me', payload]);
  });
});
