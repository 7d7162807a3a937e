-- Finds, among many rooms, those that are not as a node takes them to be, and those that check_room has something to do for.
-- KEYS  the meta of each room
-- ARGV  1 most age, 2 time between the renewals of all keys (in ms), (3 and on) "epoch/seq/ts/version/oldest" of each room
-- Returns the places of those rooms among the keys, with spaces between
-- The only script over keys of many slots: where that is refused, each room is compared.
--- @include "now_ms.lua"
local now, max_age, renew_every_ms = now_ms(), tonumber(ARGV[1]), tonumber(ARGV[2])
local found = {}
for place, meta in ipairs(KEYS) do
  -- An error is check_room's to tell: it is for one room only.
  local state = redis.pcall("HMGET", meta, "epoch", "seq", "ts", "version", "oldest", "renewed")
  local oldest, renewed = tonumber(state[5]), tonumber(state[6])
  local mark = table.concat({ state[1] or "", state[2] or "", state[3] or "", state[4] or "", state[5] or "-" }, "/")
  local is_quiet = mark == ARGV[place + 2] and not (oldest and oldest < now - max_age)
    and renewed and math.abs(now - renewed) < renew_every_ms
  if not is_quiet then found[#found + 1] = place end
end
return table.concat(found, " ")
