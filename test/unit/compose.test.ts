import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { parseConfig } from "../../src/config/config.ts";

const ROOT = join(import.meta.dirname, "../..");
const SOCKET = "/var/run/docker.sock";

interface Service {
  readonly profiles?: readonly string[];
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
}

const read = (file: string) => readFileSync(join(ROOT, file), "utf8");
const { services }: { services: Readonly<Record<string, Service>> } = parse(read("docker-compose.yml"), {
  merge: true,
});
const words = (text: string | undefined) => (text ?? "").trim().split(/\s+/);

describe("docker-compose.yml", () => {
  it("starts by itself what a first try needs, and the rest by profiles", () => {
    const byProfile = Object.groupBy(Object.keys(services), (name) => services[name]?.profiles?.join() ?? "none");
    expect(byProfile).toEqual({
      none: ["secrets", "redis", "node", "haproxy"],
      observability: ["prometheus", "grafana"],
      load: ["load"],
      faults: ["faults"],
    });
  });

  it("publishes one port to where the operator says, and all others to this machine only", () => {
    const published = Object.values(services).flatMap(({ ports = [] }) => ports);
    const open = published.filter((port) => !port.startsWith("127.0.0.1:"));
    // biome-ignore lint/suspicious/noTemplateCurlyInString: compose's own
    expect(open).toEqual(["${PUBLISH:-127.0.0.1}:${PORT:-3000}:3000"]);
  });

  it("drops what containers need not have, and gives the engine's socket to one that is asked for by name", () => {
    for (const [name, { read_only: readOnly, cap_drop: dropped }] of Object.entries(services)) {
      if (name !== "secrets") expect([name, readOnly, dropped]).toEqual([name, true, ["ALL"]]);
    }
    const holders = Object.entries(services).filter(([, { volumes = [] }]) =>
      volumes.some((mount) => mount.includes(SOCKET)),
    );
    expect(holders.map(([name]) => name)).toEqual(["faults"]);
  });

  it("gives nodes the rights in Redis that the documentation names, and no other", () => {
    const [, documented] =
      /ACL SETUSER roomcast on >PASSWORD resetkeys resetchannels -@all\n(.*?)```/s.exec(read("docs/operations.md")) ??
      [];
    const [, given] = /^rights='(.*?)'$/ms.exec(read("deploy/secrets.sh")) ?? [];
    expect(words(given)).toEqual(words(documented));
    expect(words(given).length).toBeGreaterThan(30);
  });
});

describe("deploy/haproxy/haproxy.cfg", () => {
  it("lets a node refuse by itself whom it has no place for, and holds back what is beyond that", () => {
    const { maxConnections, maxHandshakes } = parseConfig({}).limits;
    expect(read("deploy/haproxy/haproxy.cfg")).toContain(`default-server maxconn ${maxConnections + maxHandshakes}\n`);
  });
});
