-- How a room is now; writes nothing.
-- KEYS  1 meta, 2 presence, 3 members
-- Returns "epoch seq ts members connections", or "" where nobody ever used the room
local meta, presence, members = KEYS[1], KEYS[2], KEYS[3]
local head = redis.call("HMGET", meta, "epoch", "seq", "ts")
if not head[1] then return "" end
local connections = redis.call("HGET", presence, "connections") or "0"
return table.concat({ head[1], head[2], head[3], redis.call("ZCARD", members), connections }, " ")
