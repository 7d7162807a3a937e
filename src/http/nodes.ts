import type { CallAnswer } from "../calls.ts";
import { completeness, type Handlers } from "./call.ts";

/** What `/v1` needs to know of the cluster. */
export interface NodesOfCluster {
  list(): Promise<{
    readonly nodes: Iterable<CallAnswer<"listNodes">["nodes"][number]>;
    readonly missing: readonly string[];
  }>;
}

/** The calls about the cluster itself. */
export function nodeCalls(nodes: NodesOfCluster): Pick<Handlers, "listNodes"> {
  return {
    listNodes: async () => {
      const { nodes: live, missing } = await nodes.list();
      return { nodes: [...live], ...completeness(missing) };
    },
  };
}
