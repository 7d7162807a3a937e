-- Removes a room's entries and starts a new epoch, in which the numbers go on; nothing where nobody used the room.
-- KEYS  1 meta, 2 log
-- ARGV  1 epoch to start
-- Returns nothing
local meta, log = KEYS[1], KEYS[2]
if redis.call("HEXISTS", meta, "epoch") == 0 then return end
redis.call("HSET", meta, "epoch", ARGV[1])
redis.call("HDEL", meta, "floor", "oldest")
redis.call("DEL", log)
