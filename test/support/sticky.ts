import { type Balancer, startBalancer } from "../../src/local/balancer.ts";
import type { Upstream } from "../../src/local/upstream.ts";
import type { TestCluster } from "./cluster.ts";
import { stopsWithTest } from "./teardown.ts";

const READY_INTERVAL_MS = 100;

/** The product's own sticky balancer in front of a test's cluster. */
export interface Sticky {
  /** The one address for all nodes. */
  readonly url: string;
  stop(): Promise<void>;
}

/**
 * Puts the balancer in front of a cluster. Nodes that die are taken out, nodes that are ready again (`restart`) are put
 * back in, soon after. Stops with the test that called it.
 */
export async function startSticky(cluster: TestCluster): Promise<Sticky> {
  const balancer = await startBalancer({ port: 0 });
  const present = new Map<number, Upstream>();
  const refresh = () => Promise.all(cluster.urls.map((_, i) => refreshNode(balancer, cluster, present, i)));
  await refresh();

  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  const again = () => {
    timer = setTimeout(() => void refresh().finally(() => stopped || again()), READY_INTERVAL_MS);
  };
  again();
  const stop = async () => {
    stopped = true;
    clearTimeout(timer);
    await balancer.close();
  };
  stopsWithTest(stop);
  return { url: balancer.url, stop };
}

/** One upstream for one life of a node: by process id, as the address stays. */
async function refreshNode(balancer: Balancer, cluster: TestCluster, present: Map<number, Upstream>, i: number) {
  const node = cluster.node(i);
  const ready = await node.isReady();
  const known = present.get(node.pid);
  if (known !== undefined) known.ready = ready;
  if (known !== undefined || !ready) return;
  const upstream: Upstream = { name: node.name, port: node.port, ready };
  present.set(node.pid, upstream);
  balancer.add(upstream);
  void node.ended.then(() => {
    present.delete(node.pid);
    balancer.remove(upstream);
  });
}
