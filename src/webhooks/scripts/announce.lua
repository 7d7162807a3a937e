-- Notes that a room's outbox may hold events, before they are there.
-- KEYS  1 rooms whose outboxes are to be looked at
-- ARGV  1 room
-- Returns nothing
--- @include "integer.lua"
--- @include "now_ms.lua"
redis.call("ZADD", KEYS[1], integer(now_ms()), ARGV[1])
