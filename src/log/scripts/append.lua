-- Stores one message: looks its id up, numbers it, adds it to the log and publishes it. All checks come before the
-- first write, and the writes stand in an order that an error in the middle leaves whole.
-- KEYS  1 meta, 2 log, 3 dedupe entry; of a removal: 4 removed; else, where an endpoint wants messages: 4 5 outbox and
--       what it dropped
-- ARGV  1 channel, 2 envelope between header and body, 3 body after seq and ts, 4 epoch to start if one is needed,
--       5 6 7 epoch, seq and ts that the node knows, 8 most messages, 9 most bytes, 10 most age, 11 life of the dedupe
--       entry, 12 longest time between renewals (times in ms); of a removal also 13 14 seq and ts of the entry that it
--       removes, 15 what is read in its place
-- Returns "epoch seq ts duplicate", duplicate being 0 or 1, or "gone" where the entry to be removed is not there
--- @include "integer.lua"
--- @include "now_ms.lua"
--- @include "is_fork.lua"
--- @include "trim_log.lua"
--- @include "renew_lives.lua"
--- @include "add_event.lua"
--- @include "bury.lua"
local meta, log, dedupe = KEYS[1], KEYS[2], KEYS[3]
local is_removal = ARGV[13] ~= nil
local removed = is_removal and KEYS[4]
local outbox, dropped = not is_removal and KEYS[4], KEYS[5]
local channel, envelope, rest, fresh_epoch = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local known_epoch, known_seq, known_ts = ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7])
local max_messages, max_bytes, max_age = ARGV[8], tonumber(ARGV[9]), tonumber(ARGV[10])
local dedupe_ms, spare_ms = ARGV[11], tonumber(ARGV[12])

local now = now_ms()
local stored = redis.call("GET", dedupe)
local head = redis.call("HMGET", meta, "epoch", "seq", "ts", "cum", "floor", "oldest", "until")
local epoch, last, last_ts, appended = head[1], tonumber(head[2] or 0), tonumber(head[3] or 0), tonumber(head[4] or 0)
if not epoch then
  epoch = fresh_epoch
  redis.call("DEL", log)
elseif epoch == known_epoch and is_fork(log, last, last_ts, known_seq, known_ts) then
  epoch = fresh_epoch
elseif stored and string.match(stored, "^%S+") == epoch then
  return stored .. " 1"
end
if removed and not stands_at(log, ARGV[13], ARGV[14]) then return "gone" end

local seq, ts, prev = integer(last + 1), integer(math.max(now, last_ts)), head[3] or "0"
local body = '{"seq":' .. seq .. ',"ts":' .. ts .. "," .. rest
appended = appended + #body
local added = redis.pcall("XADD", log, "MAXLEN", "=", max_messages, seq .. "-0",
  "t", ts, "p", prev, "b", body, "c", integer(appended))
if added.err then
  local newest = redis.call("XREVRANGE", log, "+", "-", "COUNT", 1)[1]
  if newest and tonumber(string.match(newest[1], "^%d+")) > last then
    redis.call("HSET", meta, "epoch", epoch, "seq", string.match(newest[1], "^%d+"),
      "ts", newest[2][2], "cum", newest[2][8])
    return redis.error_reply("TRYAGAIN the log was ahead of its head")
  end
  return added
end
if removed then bury(log, removed, ARGV[13], ARGV[14], ARGV[15], tonumber(max_messages), now + max_age + spare_ms) end
local place = epoch .. " " .. seq .. " " .. ts
redis.call("SET", dedupe, place, "PX", dedupe_ms)
redis.call("HSET", meta, "epoch", epoch, "seq", seq, "ts", ts, "cum", integer(appended))
add_event(outbox, dropped, "k", "message", "e", epoch, "s", seq, "b", body)

local floor, oldest = tonumber(head[5] or 0), tonumber(head[6] or ts)
if not head[6] or appended - floor > max_bytes or oldest < now - max_age then
  floor, oldest = trim_log(log, last + 1, appended, max_bytes, now - max_age)
  redis.call("HSET", meta, "floor", integer(floor), "oldest", integer(oldest))
end
-- The first entry makes the log's key, which has no end yet, whatever a join or check has noted.
if not head[6] or tonumber(head[7] or 0) < now + max_age then
  renew_lives(now, max_age, tonumber(dedupe_ms), spare_ms, meta, log, {})
end
redis.call("SPUBLISH", channel, '{"seq":' .. seq .. ',"prev":' .. prev .. ',"ts":' .. ts
  .. ',"epoch":"' .. epoch .. '"' .. envelope .. body .. "]}}}")
return place .. " 0"
