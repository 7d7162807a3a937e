-- Removes a room's entries and starts a new epoch, in which the numbers go on; nothing where nobody used the room.
-- KEYS  1 meta, 2 log, 3 removed
-- ARGV  1 epoch to start
-- Returns nothing
local meta, log, removed = KEYS[1], KEYS[2], KEYS[3]
if redis.call("HEXISTS", meta, "epoch") == 0 then return end
redis.call("HSET", meta, "epoch", ARGV[1])
redis.call("HDEL", meta, "floor", "oldest")
redis.call("DEL", log, removed)
