-- Takes the connections of a node that is gone out of a room, a slice of them; all of them, or one user's.
-- KEYS  1 meta, 2 presence, 3 members; where an endpoint wants presence: 4 5 outbox and what it dropped
-- ARGV  1 channel, 2 room (JSON), 3 incarnation, 4 where to go on ("0" at first), 5 entries to look at,
--       6 user, or "" for everybody
-- Returns "cursor taken": where to go on, "0" at the end, and how many connections were taken out
--- @include "user_json.lua"
--- @include "seat_of.lua"
--- @include "publish_change.lua"
--- @include "add_event.lua"
--- @include "take_out.lua"
local meta, presence, members, outbox, dropped = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local channel, room, gone, only = ARGV[1], ARGV[2], ARGV[3], ARGV[6]

if only ~= "" and redis.call("HEXISTS", presence, "n:" .. only) == 0 then return "0 0" end
local taken = 0
local slice = redis.call("HSCAN", presence, ARGV[4], "MATCH", "c:*", "COUNT", ARGV[5])
for i = 1, #slice[2], 2 do
  local incarnation, _, user = seat_of(slice[2][i + 1])
  if incarnation == gone and (only == "" or user == only) then
    local connection = string.sub(slice[2][i], 3)
    taken = taken + take_out(meta, presence, members, channel, room, connection, user, outbox, dropped)
  end
end
return slice[1] .. " " .. taken
