-- Gives the caller one node to clear up after: first one whose lease ran out, else one whose clearing somebody began
-- and did not finish in time.
-- KEYS  1 leases, 2 nodes that are gone
-- ARGV  1 how long the caller has before others try too, 2 how long a node that was cleared up is remembered (ms), 3 the
--       caller's own incarnation
-- Returns an incarnation, or "": also where the caller's own lease has run out, for all others may have with it
--- @include "integer.lua"
--- @include "now_ms.lua"
local leases, gone = KEYS[1], KEYS[2]
local until_others_ms, remember_ms = tonumber(ARGV[1]), tonumber(ARGV[2])

local now = now_ms()
-- Those that were cleared up stand under a negative moment: long ago enough, they are forgotten.
redis.call("ZREMRANGEBYSCORE", gone, integer(-now + remember_ms), "(0")
local own = redis.call("ZSCORE", leases, ARGV[3])
if not own or tonumber(own) < now then return "" end
local found = redis.call("ZRANGE", leases, "-inf", "(" .. integer(now), "BYSCORE", "LIMIT", 0, 1)[1]
if found then
  redis.call("ZREM", leases, found)
else
  found = redis.call("ZRANGE", gone, 0, "(" .. integer(now), "BYSCORE", "LIMIT", 0, 1)[1]
end
if not found then return "" end
redis.call("ZADD", gone, integer(now + until_others_ms), found)
return found
