import { readFile } from "node:fs/promises";
import { connect, createServer, type Server, type Socket } from "node:net";
import { connect as connectTls, createServer as createTlsServer } from "node:tls";
import { expect, it } from "vitest";
import { FdWriter } from "../../src/socket/fd-writer.ts";
import { makeCertificates, noCertificates } from "../support/certificates.ts";
import { eventually } from "../support/eventually.ts";
import { stopsWithTest } from "../support/teardown.ts";

const LOCALHOST = "127.0.0.1";
/** More than the kernel takes for a client that does not read, on any machine that the tests run on. */
const FLOOD_BYTES = 64 * 1024 * 1024;
const PIECE_BYTES = 60_001;
/** Pairs until one has the descriptor of the connection that was closed. */
const MOST_TRIES = 100;

interface Pair {
  readonly here: Socket;
  readonly there: Socket;
  /** All that came to the other side. */
  readonly received: () => Buffer;
}

async function listening<S extends Server>(server: S): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, LOCALHOST, resolve));
  stopsWithTest(() => new Promise<void>((resolve) => server.close(() => resolve())));
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

function receiving(there: Socket): () => Buffer {
  const chunks: Buffer[] = [];
  there.on("data", (chunk: Buffer) => chunks.push(chunk));
  return () => Buffer.concat(chunks);
}

/** A listener, and how to get connections to it, one after the other. */
async function pairing(): Promise<() => Promise<Pair>> {
  const server = createServer();
  const port = await listening(server);
  return async () => {
    const accepted = new Promise<Socket>((resolve) => server.once("connection", resolve));
    const there = connect(port, LOCALHOST);
    const here = await accepted;
    for (const socket of [here, there]) socket.on("error", () => socket.destroy());
    stopsWithTest(() => {
      for (const socket of [here, there]) socket.destroy();
    });
    return { here, there, received: receiving(there) };
  };
}

function fdOf(socket: Socket): unknown {
  const handle: unknown = Reflect.get(socket, "_handle");
  return typeof handle === "object" && handle !== null ? Reflect.get(handle, "fd") : undefined;
}

/** Bytes that show where they belong. */
function piece(index: number): Buffer {
  const bytes = Buffer.alloc(PIECE_BYTES);
  for (let at = 0; at + 4 <= bytes.length; at += 4) bytes.writeUInt32LE((index * PIECE_BYTES + at) >>> 0, at);
  return bytes;
}

it("writes past the stream, in order with what the stream is given", async () => {
  const { here, received } = await (await pairing())();
  const writer = new FdWriter(here);
  const streamed = here.bytesWritten;
  expect(writer.write(Buffer.from("a"))).toBe(true);
  // The handle counts what goes by it.
  expect(here.bytesWritten).toBe(streamed);
  here.write("b");
  writer.write(Buffer.from("c"));
  here.cork();
  here.write("d");
  writer.write(Buffer.from("e"));
  here.uncork();
  writer.write(Buffer.from("f"));
  await eventually(() => expect(received().toString()).toBe("abcdef"));
});

it("leaves with what the turn writes where the socket is corked", async () => {
  const { here, received } = await (await pairing())();
  here.cork();
  const writer = new FdWriter(here);
  expect(writer.write(Buffer.from("later"))).toBe(false);
  expect(writer.owed).toBe("later".length);
  here.uncork();
  await eventually(() => expect(received().toString()).toBe("later"));
  expect(writer.owed).toBe(0);
});

it("loses and doubles no byte where the system takes only a part", async () => {
  const { here, there, received } = await (await pairing())();
  const writer = new FdWriter(here);
  there.pause();
  const pieces: Buffer[] = [];
  for (let index = 0; index * PIECE_BYTES < FLOOD_BYTES && writer.owed === 0; index += 1) {
    const bytes = piece(index);
    pieces.push(bytes);
    writer.write(bytes);
  }
  expect(writer.owed).toBeGreaterThan(0);
  for (let more = 0; more < 3; more += 1) {
    const bytes = piece(pieces.length);
    pieces.push(bytes);
    expect(writer.write(bytes)).toBe(false);
  }
  there.resume();
  await eventually(() => expect(writer.owed).toBe(0));
  const last = Buffer.from("the end");
  expect(writer.write(last)).toBe(true);
  const all = Buffer.concat([...pieces, last]);
  await eventually(() => expect(received().length).toBe(all.length));
  expect(received().equals(all)).toBe(true);
});

it("never writes to whoever has the descriptor now", async () => {
  const pair = await pairing();
  const gone = await pair();
  const writer = new FdWriter(gone.here);
  const fd = fdOf(gone.here);
  expect(fd).toBeTypeOf("number");
  gone.here.destroy();
  // The system gives the lowest number that is free; both ends of a pair are of this process.
  let [has, other] = [gone.there, gone.here];
  for (let tries = 1; fdOf(has) !== fd && tries <= MOST_TRIES; tries += 1) {
    const { here, there } = await pair();
    [has, other] = fdOf(there) === fd ? [there, here] : [here, there];
  }
  expect(fdOf(has)).toBe(fd);
  const received = receiving(other);
  writer.write(Buffer.from("for who is gone"));
  new FdWriter(has).write(Buffer.from("own"));
  await eventually(() => expect(received().toString()).toBe("own"));
});

it("leaves what comes after the end to the stream, which refuses it", async () => {
  const { here, received } = await (await pairing())();
  const errors: string[] = [];
  here.on("error", ({ message }) => errors.push(message));
  here.end("the end");
  new FdWriter(here).write(Buffer.from("more"));
  await eventually(() => expect(errors).toEqual(["write after end"]));
  expect(received().toString()).toBe("the end");
});

it("tells of a broken connection as the stream does", async () => {
  const { here, there } = await (await pairing())();
  const writer = new FdWriter(here);
  const errors: Error[] = [];
  here.on("error", (error) => errors.push(error));
  // Not read from: it is told by a write only.
  here.pause();
  there.resetAndDestroy();
  await eventually(() => {
    writer.write(Buffer.from("anybody?"));
    expect(here.destroyed).toBe(true);
  });
  expect(errors).toHaveLength(1);
});

const certificatesMissing = await noCertificates();

it.skipIf(certificatesMissing)(`writes through the encryption of TLS ${certificatesMissing ?? ""}`, async () => {
  const { ca, server: files } = await makeCertificates();
  const [key, cert, authority] = await Promise.all([files.key, files.cert, ca].map((path) => readFile(path)));
  const server = createTlsServer({ key, cert });
  const port = await listening(server);
  const accepted = new Promise<Socket>((resolve) => server.once("secureConnection", resolve));
  const there = connectTls({ port, host: LOCALHOST, ca: authority });
  const here = await accepted;
  stopsWithTest(() => {
    for (const socket of [here, there]) socket.destroy();
  });
  const received = receiving(there);
  new FdWriter(here).write(Buffer.from("secret"));
  await eventually(() => expect(received().toString()).toBe("secret"));
});
