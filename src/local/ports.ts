import { createSocket } from "node:dgram";
import { createServer } from "node:net";

/**
 * Below the ports that systems take for outgoing connections (from 32768 on Linux): those may be gone between the asking
 * and the listening, or while a node is started again.
 */
const PORTS = { first: 12_000, last: 32_000 };
const MOST_TRIES = 100;

/**
 * Whether the port was claimed for this process, until it ends: two servers that are about to start, here or in another
 * process, must not get the same. The claim is the same number for UDP, of which there is one on a machine.
 */
async function claim(port: number): Promise<boolean> {
  const socket = createSocket("udp4");
  return await new Promise((resolve) => {
    socket.once("error", () => socket.close(() => resolve(false)));
    socket.bind({ port, address: "127.0.0.1", exclusive: true }, () => {
      socket.unref();
      resolve(true);
    });
  });
}

/** Whether a listener could be opened on this loopback port now. */
async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return await new Promise((resolve) => {
    server.once("error", () => resolve(false));
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/**
 * A loopback port that nobody listens on: the preferred one where it is free, so that addresses outlive a restart; else one
 * that nobody was given who is still there.
 */
export async function freePort(preferred?: number): Promise<number> {
  if (preferred !== undefined && (await isFree(preferred))) return preferred;
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    const port = PORTS.first + Math.floor(Math.random() * (PORTS.last - PORTS.first));
    if ((await isFree(port)) && (await claim(port))) return port;
  }
  throw new Error("no free port on 127.0.0.1");
}
