import { createServer, type Socket } from "node:net";
import { freePort } from "../../src/local/ports.ts";
import { stopsWithTest } from "./teardown.ts";

/** The commands of a chunk, as far as it holds whole ones: RESP arrays of bulk strings. */
function takeCommands(text: string): { commands: string[][]; rest: string } {
  const commands: string[][] = [];
  let rest = text;
  for (;;) {
    const head = /^\*(\d+)\r\n/.exec(rest);
    if (head === null) return { commands, rest };
    let at = head[0].length;
    const words: string[] = [];
    for (let index = 0; index < Number(head[1]); index++) {
      const size = /^\$(\d+)\r\n/.exec(rest.slice(at));
      if (size === null) return { commands, rest };
      at += size[0].length;
      words.push(rest.slice(at, at + Number(size[1])));
      at += Number(size[1]) + 2;
    }
    if (at > rest.length) return { commands, rest };
    commands.push(words);
    rest = rest.slice(at);
  }
}

function answer(words: readonly string[], info: string, knowsHello: boolean): string {
  switch (words[0]?.toUpperCase()) {
    case "INFO":
      return `$${Buffer.byteLength(info)}\r\n${info}\r\n`;
    case "HELLO":
      if (!knowsHello) return "-ERR unknown command `HELLO`\r\n";
      return words[1] === "3"
        ? "%2\r\n+server\r\n+redis\r\n+proto\r\n:3\r\n"
        : "*4\r\n+server\r\n+redis\r\n+proto\r\n:2\r\n";
    case "SSUBSCRIBE":
    case "SPUBLISH":
    case "EVALSHA_RO":
      return `-ERR unknown command '${words[0]}'\r\n`;
    default:
      return "+OK\r\n";
  }
}

/** A server that says it is this version of Redis, and can no more than that. Stops with the test that called it. */
export async function startOldRedis(version: string): Promise<{ url: string }> {
  const info = `# Server\r\nredis_version:${version}\r\nredis_mode:standalone\r\nloading:0\r\n`;
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    let rest = "";
    socket.on("error", () => socket.destroy());
    socket.on("close", () => sockets.delete(socket));
    socket.on("data", (chunk) => {
      const taken = takeCommands(rest + chunk.toString("latin1"));
      rest = taken.rest;
      for (const words of taken.commands) socket.write(answer(words, info, Number.parseInt(version, 10) >= 6));
    });
  });
  const port = await freePort();
  await new Promise<void>((resolve) => {
    server.listen(port, "127.0.0.1", resolve);
  });
  stopsWithTest(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { url: `redis://127.0.0.1:${port}` };
}
