import { existsSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { DASHBOARDS } from "../support/dashboard.ts";

const ROOT = join(import.meta.dirname, "../..");

interface Service {
  readonly image: string;
  readonly profiles?: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly ports: readonly string[];
  readonly volumes: readonly string[];
}

function read(file: string): string {
  return readFileSync(join(ROOT, file), "utf8");
}

const { services }: { services: Readonly<Record<string, Service>> } = parse(read("docker-compose.yml"), {
  merge: true,
});
const grafana = services.grafana as Service;

/** Where a path in Grafana's container comes from: a path here, or a volume and the path in it. */
function source(path: string): string | undefined {
  for (const volume of grafana.volumes) {
    const [from = "", to = ""] = volume.split(":");
    const inside = posix.relative(to, path);
    if (!inside.startsWith("..")) return posix.join(from, inside);
  }
  return undefined;
}

describe("Grafana in docker-compose.yml", () => {
  it("runs in the profile observability only, in a pinned version, for this machine only", () => {
    expect(grafana.profiles).toEqual(["observability"]);
    expect(grafana.image).toMatch(/^grafana\/grafana:\d+\.\d+\.\d+$/);
    expect(grafana.ports.length).toBeGreaterThan(0);
    for (const port of grafana.ports) expect(port).toMatch(/^127\.0\.0\.1:/);
  });

  it("gets its password from a file of its own on the secrets volume", () => {
    const file = source(grafana.environment.GF_SECURITY_ADMIN_PASSWORD__FILE ?? "");
    expect(file).toBe("secrets/grafana-password");
    expect(read("deploy/secrets.sh")).toMatch(/^put grafana-password .* 472$/m);
  });

  it("reads its datasource and the dashboard from mounts that exist", () => {
    for (const kind of ["datasources", "dashboards"]) {
      const folder = source(`/etc/grafana/provisioning/${kind}`);
      expect(folder).toBe(`grafana/provisioning/${kind}`);
    }
    const { providers } = parse(read("grafana/provisioning/dashboards/roomcast.yml"));
    expect(providers).toHaveLength(1);
    expect(providers[0].type).toBe("file");
    expect(source(providers[0].options.path)).toBe(DASHBOARDS);
    const home = source(grafana.environment.GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH ?? "");
    expect(home).toBe(posix.join(DASHBOARDS, "roomcast-overview.generated.json"));
    for (const volume of grafana.volumes.filter((mount) => mount.startsWith("./"))) {
      const [path = "", , mode] = volume.split(":");
      expect(existsSync(join(ROOT, path)), path).toBe(true);
      expect(mode).toBe("ro");
    }
  });

  it("asks compose's Prometheus, and knows how often that scrapes", () => {
    const { datasources } = parse(read("grafana/provisioning/datasources/prometheus.yml"));
    expect(datasources).toHaveLength(1);
    const [datasource] = datasources;
    expect(datasource).toMatchObject({ type: "prometheus", isDefault: true });
    const { hostname, port } = new URL(datasource.url);
    expect(services.prometheus?.ports.join()).toMatch(new RegExp(`:${port}$`));
    expect(hostname).toBe("prometheus");
    const scrapes = parse(read("deploy/prometheus/prometheus.yml"));
    expect(datasource.jsonData.timeInterval).toBe(scrapes.global.scrape_interval);
  });
});
