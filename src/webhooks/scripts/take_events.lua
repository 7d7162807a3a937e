-- The oldest events of an outbox, for one node at a time. They stay there until `release_events.lua` removes them.
-- KEYS  1 outbox, 2 events that it dropped, 3 who holds it
-- ARGV  1 caller, 2 how long it may hold the outbox in ms, 3 most events, 4 bytes of their bodies after which no more are read
-- Returns { 0 } where somebody else holds it, or { 1, events dropped since the last time, 1 where there may be more, entries }
local outbox, dropped, holder = KEYS[1], KEYS[2], KEYS[3]
local caller, hold_ms, most_events, enough_bytes = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])

local held_by = redis.call("GET", holder)
if held_by and held_by ~= caller then return { 0 } end
redis.call("SET", holder, caller, "PX", hold_ms)
local lost = tonumber(redis.call("GET", dropped) or 0)
if lost > 0 then redis.call("DEL", dropped) end

local entries, bytes, from, more = {}, 0, "-", 1
while more == 1 and #entries < most_events and bytes < enough_bytes do
  local chunk = redis.call("XRANGE", outbox, from, "+", "COUNT", 4)
  for _, entry in ipairs(chunk) do
    entries[#entries + 1] = entry
    for field = 2, #entry[2], 2 do bytes = bytes + #entry[2][field] end
    from = "(" .. entry[1]
  end
  if #chunk < 4 then more = 0 end
end
return { 1, lost, more, entries }
