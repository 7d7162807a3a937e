-- Takes a connection out of a room, unless it is in by a newer join. Where the join that is given up is not there, a
-- mark keeps it out: it may still be under way on a connection that broke.
-- KEYS  1 meta, 2 presence, 3 members, 4 mark of a join that was given up; where an endpoint wants presence: 5 6 outbox and
--       what it dropped
-- ARGV  1 channel, 2 room (JSON), 3 connection, 4 attempt, 5 life of the mark in ms
-- Returns nothing
--- @include "user_json.lua"
--- @include "seat_of.lua"
--- @include "publish_change.lua"
--- @include "add_event.lua"
--- @include "take_out.lua"
local meta, presence, members, left, outbox, dropped = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local channel, room, connection, attempt, mark_ms = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]

local _, seated_by, user = seat_of(redis.call("HGET", presence, "c:" .. connection))
if seated_by and seated_by > attempt then return end
if seated_by ~= attempt and tonumber(redis.call("GET", left) or -1) < attempt then
  redis.call("SET", left, ARGV[4], "PX", mark_ms)
end
if seated_by then take_out(meta, presence, members, channel, room, connection, user, outbox, dropped) end
