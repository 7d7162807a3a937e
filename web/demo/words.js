/** What happened, in words for the page. */

const LOST = {
  "transport close": "it was closed",
  "transport error": "it broke",
  "ping timeout": "no sign of life",
};

export function seconds(ms) {
  return `${(ms / 1_000).toFixed(1)} s`;
}

/** `reason` is the stock client's; what it does not name is shown as it is. */
export function connectionLost(node, reason) {
  return `connection ${node === undefined ? "" : `to ${node} `}lost: ${LOST[reason] ?? reason}`;
}

/** After a join that was not the first: `back after 0.8 s: 3 messages recovered`. */
export function cameBack(awayMs, resumed, recovered) {
  const back = awayMs === undefined ? "" : `back after ${seconds(awayMs)}: `;
  if (!resumed) return `${back}what was missed is no longer in the log, the room was loaded anew`;
  if (recovered === 0) return `${back}went on without a gap`;
  return `${back}${recovered === 1 ? "1 message" : `${recovered} messages`} recovered`;
}

export function takenOut(room, { reason, until }) {
  if (reason === "kicked") return `You were taken out of ${room}.`;
  if (reason === "banned") return `You are banned from ${room}${until ? ` until ${dateAndTime(until)}` : ""}.`;
  if (reason === "closed") return `${room} was closed.`;
  if (reason === "forbidden") return `Your token no longer allows ${room}.`;
  return `You are out of ${room}: ${reason}.`;
}

function dateAndTime(ts) {
  return new Date(ts).toLocaleString();
}
