-- Which of some users are kept out now; writes nothing.
-- KEYS  1 bans
-- ARGV  users
-- Returns for each user the end in Unix ms, or ""
--- @include "now_ms.lua"
local now = now_ms()
local ends = {}
for index, user in ipairs(ARGV) do
  local score = redis.call("ZSCORE", KEYS[1], user)
  ends[index] = score and tonumber(score) > now and score or ""
end
return ends
