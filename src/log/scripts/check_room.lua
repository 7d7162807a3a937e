-- Compares a node's position with a room's log, starts a new epoch where they disagree or there is none, puts the version of
-- presence past what members know where it is behind, and renews the lives of all its keys where that was long ago.
-- KEYS  1 meta, 2 log, 3 presence, 4 members, 5 removed
-- ARGV  1 2 3 epoch, seq and ts that the node knows, 4 epoch to start if one is needed, 5 most bytes, 6 most age, 7 life
--       of dedupe entries, 8 longest time between an append's renewals, 9 time between those of all keys (times in ms), 10 version
--       of presence that members know
-- Returns "epoch seq ts version members messages bytes oldest": messages and bytes are what the log holds, oldest is "-" where
-- nothing was stored yet, or all was trimmed
--- @include "integer.lua"
--- @include "now_ms.lua"
--- @include "is_fork.lua"
--- @include "trim_log.lua"
--- @include "renew_lives.lua"
--- @include "open_room.lua"
local meta, log, presence, members, removed = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local known_epoch, known_seq, known_ts, fresh_epoch = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local max_bytes, max_age, dedupe_ms, spare_ms = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local renew_every_ms, known_version = tonumber(ARGV[9]), tonumber(ARGV[10])

local now = now_ms()
local epoch, seq, ts, version = open_room(meta, log, members, fresh_epoch)
if epoch == known_epoch and is_fork(log, seq, ts, known_seq, known_ts) then
  epoch = fresh_epoch
  redis.call("HSET", meta, "epoch", epoch)
end
-- Changes were lost: what members count goes on behind what they know, or they would take the next ones for old.
if known_version > version then
  version = known_version + 1
  redis.call("HSET", meta, "version", integer(version))
end
local state = redis.call("HMGET", meta, "oldest", "cum", "renewed")
local oldest, appended, renewed = state[1], tonumber(state[2]), tonumber(state[3])
if oldest and tonumber(oldest) < now - max_age then
  local floor, kept = trim_log(log, seq + 1, appended, max_bytes, now - max_age)
  if #redis.call("XRANGE", log, "-", "+", "COUNT", 1) > 0 then
    oldest = integer(kept)
    redis.call("HSET", meta, "floor", integer(floor), "oldest", oldest)
  else
    oldest = false
    redis.call("HDEL", meta, "floor", "oldest")
  end
end
-- What appends note in the same hash, how long the log lives, says nothing of presence.
if not renewed or math.abs(now - renewed) >= renew_every_ms then
  renew_lives(now, max_age, dedupe_ms, spare_ms, meta, log, { presence, members, removed })
  redis.call("HSET", meta, "renewed", integer(now))
end
local first = redis.call("XRANGE", log, "-", "+", "COUNT", 1)[1]
local messages, bytes = 0, 0
if first then
  messages = seq - tonumber(string.match(first[1], "^%d+")) + 1
  bytes = (appended or 0) - tonumber(first[2][8]) + #first[2][6]
end
return table.concat({ epoch, integer(seq), integer(ts), integer(version), redis.call("ZCARD", members), integer(messages),
  integer(bytes), oldest or "-" }, " ")
