/** The local cluster of `npm start` lets its visitors kill nodes. Nothing else answers here. */

const HEADERS = { "x-roomcast-local": "1" };

export async function isLocalCluster() {
  try {
    const response = await fetch("/local/nodes", { headers: { ...HEADERS, accept: "application/json" } });
    return response.ok && (response.headers.get("content-type") ?? "").includes("json");
  } catch {
    return false; // no node answers: the connection tells that
  }
}

/** Resolves to undefined, or to what went wrong. */
export async function killNode(name) {
  try {
    const response = await fetch(`/local/nodes/${encodeURIComponent(name)}/kill`, { method: "POST", headers: HEADERS });
    return response.ok ? undefined : `the local cluster answered ${response.status}`;
  } catch {
    return "the local cluster does not answer";
  }
}
