-- Removes the events up to the last one that is in the queue, and lets others at the outbox.
-- KEYS  1 outbox, 2 who holds it
-- ARGV  1 caller, 2 id of the first entry to keep, "" to remove none
-- Returns nothing
local outbox, holder = KEYS[1], KEYS[2]
if ARGV[2] ~= "" then
  redis.call("XTRIM", outbox, "MINID", "=", ARGV[2])
  if redis.call("XLEN", outbox) == 0 then redis.call("DEL", outbox) end
end
if redis.call("GET", holder) == ARGV[1] then redis.call("DEL", holder) end
