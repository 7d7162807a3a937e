-- The oldest events of an outbox, for one node at a time. They stay there until `release_events.lua` removes them.
-- KEYS  1 outbox, 2 events that it dropped, 3 who holds it
-- ARGV  1 caller, 2 how long it may hold the outbox in ms, 3 most events
-- Returns { 0 } where somebody else holds it, or { 1, events dropped since the last time, entries }
local outbox, dropped, holder = KEYS[1], KEYS[2], KEYS[3]
local held_by = redis.call("GET", holder)
if held_by and held_by ~= ARGV[1] then return { 0 } end
redis.call("SET", holder, ARGV[1], "PX", ARGV[2])
local lost = tonumber(redis.call("GET", dropped) or 0)
if lost > 0 then redis.call("DEL", dropped) end
return { 1, lost, redis.call("XRANGE", outbox, "-", "+", "COUNT", ARGV[3]) }
