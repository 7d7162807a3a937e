-- Puts off the end of a room's keys: the log lives as long as its entries, epoch and presence longer than anything
-- that speaks of them, a member in the grace among it. `spare_ms` is how long the log may then go without renewing.
local function renew_lives(now, max_age, dedupe_ms, spare_ms, meta, log, others)
  local log_until = now + max_age + spare_ms
  local meta_until = integer(log_until + dedupe_ms + 9000000)
  -- A log that is not there yet, or has ended, gets its end from the append that makes it.
  local has_log = redis.call("PEXPIREAT", log, integer(log_until)) == 1
  redis.call("HSET", meta, "until", has_log and integer(log_until) or 0)
  redis.call("PEXPIREAT", meta, meta_until)
  for _, key in ipairs(others) do redis.call("PEXPIREAT", key, meta_until) end
end
