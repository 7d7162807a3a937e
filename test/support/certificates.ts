import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ask, onPath } from "../../src/local/run-command.ts";
import { stopsWithTest } from "./teardown.ts";

const COMMAND_TIMEOUT_MS = 20_000;

/** Paths of PEM files of one authority, and of what it signed. */
export interface Certificates {
  readonly ca: string;
  readonly server: { readonly cert: string; readonly key: string };
  readonly client: { readonly cert: string; readonly key: string };
}

/** Why there can be no certificates here, or nothing. */
export async function noCertificates(): Promise<string | undefined> {
  return (await onPath("openssl")) === undefined ? "no openssl on the PATH" : undefined;
}

/** An authority of the test's own, and a server (127.0.0.1) and a client that it vouches for. Gone with the test. */
export async function makeCertificates(): Promise<Certificates> {
  const folder = await mkdtemp(join(tmpdir(), "roomcast-certificates-"));
  stopsWithTest(() => rm(folder, { recursive: true, force: true }));
  const path = (name: string) => join(folder, name);
  const openssl = async (...args: string[]) => {
    if ((await ask("openssl", args, { timeoutMs: COMMAND_TIMEOUT_MS })) === undefined) {
      throw new Error(`openssl ${args.join(" ")} failed`);
    }
  };
  const newKey = (name: string) => [
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
    "-keyout",
    path(`${name}.key`),
  ];
  await openssl("req", "-x509", ...newKey("ca"), "-out", path("ca.crt"), "-days", "2", "-subj", "/CN=Test authority");
  await writeFile(path("names"), "subjectAltName=IP:127.0.0.1\n");
  for (const name of ["server", "client"]) {
    await openssl("req", "-new", ...newKey(name), "-out", path(`${name}.csr`), "-subj", `/CN=${name}`);
    const signing = ["-CA", path("ca.crt"), "-CAkey", path("ca.key"), "-CAcreateserial", "-days", "2"];
    await openssl(
      "x509",
      "-req",
      "-in",
      path(`${name}.csr`),
      ...signing,
      "-extfile",
      path("names"),
      "-out",
      path(`${name}.crt`),
    );
  }
  const pair = (name: string) => ({ cert: path(`${name}.crt`), key: path(`${name}.key`) });
  return { ca: path("ca.crt"), server: pair("server"), client: pair("client") };
}
