-- Renews a node's lease, and looks whether somebody is to be cleared up after.
-- KEYS  1 leases, 2 nodes that are gone, 3 how the nodes are
-- ARGV  1 incarnation, 2 length of the lease in ms, 3 how this node is, or ""
-- Returns a word, 1 or 0, the server, and the ends of this lease and of the one before (0: none): "held", "lapsed" where it
-- had run out and nobody had noticed, "claimed" where others have taken it for gone (nothing is written then, nobody would take it away again), or "lost" where nothing is known
-- of it; 1 where claim_gone.lua has a node to give; the server is this run of it and its line of replication, which ends where
-- a replica takes over, or "" where it does not say
--- @include "integer.lua"
--- @include "now_ms.lua"
local leases, gone, info = KEYS[1], KEYS[2], KEYS[3]
local incarnation, lease_ms, told = ARGV[1], tonumber(ARGV[2]), ARGV[3]

local now = now_ms()
local past = "(" .. integer(now)
local function some(key, from)
  return #redis.call("ZRANGE", key, from, past, "BYSCORE", "LIMIT", 0, 1) > 0
end

-- Told or not, that must not keep a node from its lease.
local told_of_server = redis.pcall("INFO", "server", "replication")
local server = ""
if type(told_of_server) == "string" then
  server = (string.match(told_of_server, "run_id:(%w+)") or "") .. (string.match(told_of_server, "master_replid:(%w+)") or "")
end

if redis.call("ZSCORE", gone, incarnation) then return "claimed 0 " .. server .. " 0 0" end
local before = redis.call("ZSCORE", leases, incarnation)
redis.call("ZADD", leases, integer(now + lease_ms), incarnation)
if told ~= "" then redis.call("HSET", info, incarnation, told) end
local waiting = some(leases, "-inf") or some(gone, 0)
local state = not before and "lost" or tonumber(before) < now and "lapsed" or "held"
return table.concat({ state, waiting and 1 or 0, server, integer(now + lease_ms),
  integer(tonumber(before or 0)) }, " ")
