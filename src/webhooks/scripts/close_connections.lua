-- Takes connections of a node back, one by name or a slice of all that it has, and leaves an event for each, once. Of a
-- slice those stay for which the outbox has no room: whoever asks for them can wait.
-- KEYS  1 the node's connections, 2 3 its outbox and what that dropped
-- ARGV  1 reason (JSON), 2 event to leave, 3 most of all connections to take, 0 for the one, 4 the connection
-- Returns how many are left
--- @include "add_event.lua"
local connections, outbox, dropped = KEYS[1], KEYS[2], KEYS[3]
local reason, kind, most, connection = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]

local found = most == 0 and { connection, redis.call("HGET", connections, connection) }
  or redis.call("HRANDFIELD", connections, most, "WITHVALUES")
for i = 1, #found, 2 do
  if most > 0 and outbox_is_full(outbox) then break end
  local about = found[i + 1]
  if about and redis.call("HDEL", connections, found[i]) == 1 then
    add_event(outbox, dropped, "k", kind, "b", string.sub(about, 1, -2) .. ',"reason":' .. reason .. "}")
  end
end
return redis.call("HLEN", connections)
