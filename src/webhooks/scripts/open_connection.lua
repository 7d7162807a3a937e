-- Notes a connection of a node, once.
-- KEYS  1 the node's connections, 2 3 its outbox and what that dropped
-- ARGV  1 connection, 2 what is told of it (JSON), 3 life of the note in ms, 4 event to leave, "" for none
-- Returns nothing
--- @include "add_event.lua"
local connections, outbox, dropped = KEYS[1], KEYS[2], KEYS[3]
local connection, about, life_ms, kind = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

if redis.call("HSETNX", connections, connection, about) == 0 then return end
redis.call("PEXPIRE", connections, life_ms)
if kind ~= "" then add_event(outbox, dropped, "k", kind, "b", about) end
