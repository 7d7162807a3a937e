import { connect, type Socket as TcpSocket } from "node:net";
import { stopsWithTest } from "./teardown.ts";

const SEPARATOR = "\u001e";

/** Engine.IO by polling, one HTTP request at a time, for what no stock client does. */
export interface RawPolling {
  /** Posts packets; resolves with the status once the node has read and answered it. */
  post(...packets: readonly string[]): Promise<number>;
  /** One poll: the packets that it brought. */
  poll(): Promise<string[]>;
  /** One poll by a TCP connection of its own, which is read no further once the answer has begun. */
  pollUnread(): Promise<TcpSocket>;
}

/** Opens a session and connects it to the namespace `/` with a token. */
export async function openPolling(url: string, token: string): Promise<RawPolling> {
  const ended = new AbortController();
  stopsWithTest(() => ended.abort());
  const { signal } = ended;
  const address = `${url}/socket.io/?EIO=4&transport=polling`;
  const { sid } = JSON.parse((await (await fetch(address, { signal })).text()).slice(1)) as { sid: string };
  const session = `${address}&sid=${sid}`;
  const client: RawPolling = {
    post: async (...packets) => {
      const answer = await fetch(session, { method: "POST", body: packets.join(SEPARATOR), signal });
      await answer.arrayBuffer();
      return answer.status;
    },
    poll: async () => (await (await fetch(session, { signal })).text()).split(SEPARATOR),
    pollUnread: async () => {
      const { hostname, port, pathname, search } = new URL(session);
      const tcp = connect({ host: hostname, port: Number(port) });
      stopsWithTest(() => void tcp.destroy());
      tcp.on("error", () => undefined);
      tcp.write(`GET ${pathname}${search} HTTP/1.1\r\nHost: ${hostname}\r\n\r\n`);
      await new Promise<void>((resolve) => {
        tcp.once("data", () => {
          tcp.pause();
          resolve();
        });
      });
      return tcp;
    },
  };
  await client.post(`40${JSON.stringify({ token })}`);
  for (let packets: string[] = []; !packets.some((packet) => packet.startsWith("40")); ) packets = await client.poll();
  return client;
}
