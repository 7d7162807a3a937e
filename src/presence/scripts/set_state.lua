-- Replaces a user's state; the room is told where it is another one.
-- KEYS  1 meta, 2 presence, 3 members
-- ARGV  1 channel, 2 room (JSON), 3 connection, 4 state (JSON)
-- Returns 1, or 0 where the connection is not in the room
--- @include "user_json.lua"
--- @include "seat_of.lua"
--- @include "publish_change.lua"
local meta, presence, members = KEYS[1], KEYS[2], KEYS[3]
local channel, room, connection, state = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local _, _, user = seat_of(redis.call("HGET", presence, "c:" .. connection))
if not user then return 0 end
local known = redis.call("HMGET", presence, "p:" .. user, "s:" .. user)
if not known[1] then return 0 end
if known[2] == state then return 1 end
local count = redis.call("ZCARD", members)
redis.call("HSET", presence, "s:" .. user, state)
local version = redis.call("HINCRBY", meta, "version", 1)
publish_change(channel, room, "userUpdated", connection, user_json(known[1], state), count, version)
return 1
