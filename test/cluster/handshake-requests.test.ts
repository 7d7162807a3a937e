import { expect, it } from "vitest";
import { connectClient, TRANSPORTS } from "../support/client.ts";
import { startEmbedded } from "../support/embedded.ts";
import { eventually } from "../support/eventually.ts";
import { RawWebSocket } from "../support/raw-engine.ts";
import { describeWithRedis } from "../support/redis.ts";
import { signToken } from "../support/token.ts";

const ORIGIN = "https://app.example";
const SENT = { origin: ORIGIN, "x-forwarded-for": "192.0.2.7", "user-agent": "a browser", cookie: "theme=dark" };
const KEPT = { origin: ORIGIN, "x-forwarded-for": "192.0.2.7" };

describeWithRedis("what a connection keeps of the request that it began with", () => {
  for (const [name, transports] of Object.entries(TRANSPORTS)) {
    it(`is what another handshake of its session is checked by (${name})`, async () => {
      const { node, url } = await startEmbedded({ keepRequests: false, env: { CORS_ORIGINS: ORIGIN } });
      const query = { theme: "dark" };
      const token = await signToken();
      const auth = { token, mood: "good" };
      const { welcome } = await connectClient(url, token, { transports, extraHeaders: SENT, query, auth });
      const { handshake, request } = node.io.sockets.sockets.get(welcome.connectionId) ?? expect.fail("no socket");
      const { host } = new URL(url);
      for (const { headers, url: path } of [handshake, request]) {
        expect({ headers, path }).toEqual({ headers: { ...KEPT, host }, path: "/socket.io/" });
      }
      expect([handshake.query, handshake.auth]).toEqual([{}, {}]);
    });
  }

  it("is enough for one", async () => {
    const { node, url } = await startEmbedded({ keepRequests: false });
    const raw = await RawWebSocket.open(url);
    const connect = `40${JSON.stringify({ token: await signToken() })}`;
    const welcomes = () => raw.frames.filter((frame) => String(frame).startsWith('42["welcome"')).length;
    raw.send(connect);
    await eventually(() => expect(welcomes()).toBe(1));
    raw.send("41");
    // Socket.IO takes a request to connect in the same turn for one too many.
    await eventually(() => expect(node.io.sockets.sockets.size).toBe(0));
    raw.send(connect);
    await eventually(() => expect(welcomes()).toBe(2));
  });

  it("is everything where the application wants it", async () => {
    const { node, url } = await startEmbedded({ env: { CORS_ORIGINS: ORIGIN } });
    const { welcome } = await connectClient(url, await signToken(), { extraHeaders: SENT });
    const { handshake, request } = node.io.sockets.sockets.get(welcome.connectionId) ?? expect.fail("no socket");
    for (const { headers } of [handshake, request]) expect(headers).toMatchObject(SENT);
    expect(handshake.query).toMatchObject({ transport: "websocket" });
  });
});
