"""A shop's server in Python, with nothing but the standard library: tells customers about their orders over /v1.

ROOMCAST_URL=http://127.0.0.1:3000 API_KEY=... python3 shop.py
"""

import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request

URL = os.environ["ROOMCAST_URL"] + "/v1"
KEY = os.environ["API_KEY"]
TIMEOUT_SECONDS = 5
TRIES = 5


def call(method, path, body=None, key=None):
    """One call. What may work the next time is tried again: with the same id nothing is sent twice."""
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    if key is not None:
        headers["Idempotency-Key"] = key
    data = None if body is None else json.dumps(body).encode()
    for attempt in range(TRIES):
        request = urllib.request.Request(URL + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            problem = json.load(error)
            if error.code not in (429, 503) or attempt == TRIES - 1:
                raise RuntimeError(f"{problem['code']}: {problem['detail']}") from None
            time.sleep(problem.get("retryAfterMs", 200 * 2**attempt) / 1000)
        except OSError:
            if attempt == TRIES - 1:
                raise
            time.sleep(0.2 * 2**attempt)


def room(name):
    return urllib.parse.quote(name, safe="")


# One message. The order's own number is its id: however often this runs, members see it once.
sent = call("POST", f"/rooms/{room('order:1001')}/messages", {"event": "paid", "data": {"total": 42}}, key="1001-paid")
again = call("POST", f"/rooms/{room('order:1001')}/messages", {"event": "paid", "data": {"total": 42}}, key="1001-paid")
print(f"order:1001 has seq {sent['seq']}, again: duplicate {again['duplicate']}")

# To a user, on all of their devices.
call("POST", f"/users/{room('ada')}/messages", {"event": "notice", "data": "Your order is on its way"}, key="1001-notice")

# Many at once, and what became of each.
orders = range(1, 251)
batch = [{"room": f"order:{n}", "id": f"{n}-shipped", "event": "shipped", "data": {"parcel": n}} for n in orders]
results = call("POST", "/messages", {"messages": batch})["results"]
failed = [result for result in results if not result["ok"]]
print(f"sent {len(results) - len(failed)} of {len(batch)}")

# A wrong one is named by the field.
try:
    call("POST", f"/rooms/{room('order:1')}/messages", {"event": "shipped"})
except RuntimeError as error:
    print(f"refused: {error}")

# The history, page by page, oldest first.
seen, after = [], 0
while True:
    page = call("GET", f"/rooms/{room('order:1001')}/messages?after={after}&limit=100")
    seen += page["messages"]
    if not page["more"]:
        break
    after = seen[-1]["seq"]
print("history: " + ", ".join(message["event"] for message in seen))

print("online: " + ", ".join(member["id"] for member in call("GET", f"/rooms/{room('order:1001')}/members")["members"]))
call("DELETE", f"/rooms/{room('order:1001')}/members/{room('ada')}")
print("done")
