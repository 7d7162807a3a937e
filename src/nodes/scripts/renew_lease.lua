-- Renews a node's lease.
-- KEYS  1 leases, 2 nodes that are gone
-- ARGV  1 incarnation, 2 length of the lease in ms
-- Returns "held", "claimed" where others have taken it for gone, or "lost" where nothing is known of it
--- @include "integer.lua"
--- @include "now_ms.lua"
local leases, gone = KEYS[1], KEYS[2]
local incarnation, lease_ms = ARGV[1], tonumber(ARGV[2])

if redis.call("ZSCORE", gone, incarnation) then return "claimed" end
local new = redis.call("ZADD", leases, integer(now_ms() + lease_ms), incarnation)
return new == 1 and "lost" or "held"
