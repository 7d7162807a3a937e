-- Keeps a user out until some time from now; bans that ran out go.
-- KEYS  1 bans
-- ARGV  1 user, 2 for how long (ms), 3 most bans
-- Returns the end in Unix ms, or "" where there are too many
--- @include "integer.lua"
--- @include "now_ms.lua"
local bans = KEYS[1]
local user, for_ms, most = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])

local now = now_ms()
redis.call("ZREMRANGEBYSCORE", bans, "-inf", integer(now))
if redis.call("ZCARD", bans) >= most and not redis.call("ZSCORE", bans, user) then return "" end
local ends = integer(now + for_ms)
redis.call("ZADD", bans, ends, user)
redis.call("PEXPIREAT", bans, redis.call("ZREVRANGE", bans, 0, 0, "WITHSCORES")[2])
return ends
