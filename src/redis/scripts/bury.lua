-- From now on an entry is read as its tombstone. Those of entries that have left the log go once there are more of them
-- than the log has entries.
local function bury(log, removed, seq, ts, tombstone, max_messages, until_ms)
  redis.call("HSET", removed, seq, ts .. " " .. tombstone)
  redis.call("PEXPIREAT", removed, integer(until_ms))
  if redis.call("HLEN", removed) <= max_messages then return end
  local oldest = redis.call("XRANGE", log, "-", "+", "COUNT", 1)[1]
  local first, cursor = tonumber(string.match(oldest[1], "^%d+")), "0"
  repeat
    local slice = redis.call("HSCAN", removed, cursor, "COUNT", 200)
    for i = 1, #slice[2], 2 do
      if tonumber(slice[2][i]) < first then redis.call("HDEL", removed, slice[2][i]) end
    end
    cursor = slice[1]
  until cursor == "0"
end
