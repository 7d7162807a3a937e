-- Takes the connections of a node that is gone out of a room, a slice of them.
-- KEYS  1 meta, 2 presence, 3 members
-- ARGV  1 channel, 2 room (JSON), 3 incarnation, 4 where to go on ("0" at first), 5 entries to look at
-- Returns "cursor taken": where to go on, "0" at the end, and how many connections were taken out
--- @include "user_json.lua"
--- @include "seat_of.lua"
--- @include "publish_change.lua"
--- @include "take_out.lua"
local meta, presence, members = KEYS[1], KEYS[2], KEYS[3]
local channel, room, gone = ARGV[1], ARGV[2], ARGV[3]

local taken = 0
local slice = redis.call("HSCAN", presence, ARGV[4], "MATCH", "c:*", "COUNT", ARGV[5])
for i = 1, #slice[2], 2 do
  local incarnation, _, user = seat_of(slice[2][i + 1])
  if incarnation == gone then
    taken = taken + take_out(meta, presence, members, channel, room, string.sub(slice[2][i], 3), user)
  end
end
return slice[1] .. " " .. taken
