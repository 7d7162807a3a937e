-- Gives the caller rooms that nobody announced for a while, to look at their outboxes. Others get them again only after
-- that while. The half tells a claim from an announcement of the same millisecond.
-- KEYS  1 rooms whose outboxes are to be looked at
-- ARGV  1 how long an announcement must be ago in ms, 2 most rooms
-- Returns { score of the claim, room … }
--- @include "integer.lua"
--- @include "now_ms.lua"
local now = now_ms()
local rooms = redis.call("ZRANGE", KEYS[1], "-inf", integer(now - ARGV[1]), "BYSCORE", "LIMIT", 0, ARGV[2])
local claim = integer(now) .. ".5"
for _, room in ipairs(rooms) do redis.call("ZADD", KEYS[1], claim, room) end
table.insert(rooms, 1, claim)
return rooms
