-- Puts off the end of a room's keys: the log lives as long as its entries, epoch and presence longer than anything
-- that speaks of them. `spare_ms` is how long the log may then go without renewing; `others` are all other keys of the room,
-- or none.
local function renew_lives(now, max_age, dedupe_ms, spare_ms, meta, log, others)
  local log_until = now + max_age + spare_ms
  local meta_until = integer(log_until + dedupe_ms + 3600000)
  redis.call("HSET", meta, "until", integer(log_until))
  if #others > 0 then redis.call("HSET", meta, "renewed", integer(now)) end
  redis.call("PEXPIREAT", log, integer(log_until))
  redis.call("PEXPIREAT", meta, meta_until)
  for _, key in ipairs(others) do redis.call("PEXPIREAT", key, meta_until) end
end
