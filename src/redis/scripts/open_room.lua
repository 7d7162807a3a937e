-- The room's epoch, seq, ts and version; starts its epoch where there is none. What is left of the log of a room that
-- was lost goes, or its numbers would stand in the way of the new ones.
local function open_room(meta, log, members, fresh_epoch)
  local head = redis.call("HMGET", meta, "epoch", "seq", "ts", "version")
  local version = head[4]
  if not version then
    local newest = redis.call("ZREVRANGE", members, 0, 0, "WITHSCORES")
    version = newest[2] or "0"
    if head[1] then redis.call("HSET", meta, "version", version) end
  end
  if head[1] then return head[1], tonumber(head[2]), tonumber(head[3]), tonumber(version) end
  redis.call("DEL", log)
  redis.call("HSET", meta, "epoch", fresh_epoch, "seq", 0, "ts", 0, "cum", 0, "version", version)
  return fresh_epoch, 0, 0, tonumber(version)
end
