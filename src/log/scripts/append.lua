-- Stores messages of one room in their order: looks the id of each up, numbers it and adds it to the log; writes the head
-- once; publishes them. The writes stand in an order that an error in the middle leaves whole. What was added before it
-- gets its head, and nothing is published before that: a feed that knows more than the head takes the log for a fork.
-- KEYS  1 meta, 2 log, (3 and on) the dedupe entry of each message; behind them removed, and where an endpoint wants
--       messages, of which a removal is none: outbox and what it dropped
-- ARGV  1 channel, 2 envelope between header and body, 3 how many messages, 4 epoch to start if one is needed,
--       5 6 7 epoch, seq and ts that the node knows, 8 most messages, 9 most bytes, 10 most age, 11 life of the dedupe
--       entries, 12 longest time between renewals (times in ms), (13 and on) the body of each message after seq and ts; of a
--       removal, which comes alone, also 14 15 seq and ts of the entry that it removes, 16 what is read in its place
-- Returns a line a message: "epoch seq ts duplicate", duplicate being 0 or 1; "gone" where the entry to be removed is not
-- there; "! " and the error of Redis where it is not stored
--- @include "integer.lua"
--- @include "now_ms.lua"
--- @include "is_fork.lua"
--- @include "trim_log.lua"
--- @include "renew_lives.lua"
--- @include "add_event.lua"
--- @include "stands_at.lua"
--- @include "bury.lua"
local meta, log, count = KEYS[1], KEYS[2], tonumber(ARGV[3])
local is_removal = #ARGV > 12 + count
local removed, outbox, dropped = KEYS[3 + count], KEYS[4 + count], KEYS[5 + count]
local channel, envelope, fresh_epoch = ARGV[1], ARGV[2], ARGV[4]
local known_epoch, known_seq, known_ts = ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7])
local max_messages, max_bytes, max_age = ARGV[8], tonumber(ARGV[9]), tonumber(ARGV[10])
local dedupe_ms, spare_ms = ARGV[11], tonumber(ARGV[12])

local now = now_ms()
local head = redis.call("HMGET", meta, "epoch", "seq", "ts", "cum", "floor", "oldest", "until")
local epoch, last, last_ts, appended = head[1], tonumber(head[2] or 0), tonumber(head[3] or 0), tonumber(head[4] or 0)
if not epoch then
  epoch = fresh_epoch
  redis.call("DEL", log)
elseif epoch == known_epoch and is_fork(log, last, last_ts, known_seq, known_ts) then
  epoch = fresh_epoch
end

local answers, entries, failure = {}, {}, nil
-- Where a message of that dedupe entry is, as it is read now. One of an earlier epoch counts only where its message still
-- stands, and is of this one from then on: it may speak of what a purge took, or another log had. Behind the head nothing
-- can be read: the adding finds that out, and puts the head right.
local function place_of(dedupe, stored)
  local stored_epoch, seq, ts = string.match(stored, "^(%S+) (%S+) (%S+)$")
  if tonumber(seq) > last then return nil end
  local place = epoch .. " " .. seq .. " " .. ts
  if stored_epoch == epoch then return place end
  if not stands_at(log, seq, ts) then return nil end
  redis.pcall("SET", dedupe, place, "XX", "KEEPTTL")
  return place
end

-- Adds a message to the log; its answer.
local function add(dedupe, rest)
  local seq, ts, prev = integer(last + 1), integer(math.max(now, last_ts)), integer(last_ts)
  local body = '{"seq":' .. seq .. ',"ts":' .. ts .. "," .. rest
  local added = redis.pcall("XADD", log, "MAXLEN", "=", max_messages, seq .. "-0",
    "t", ts, "p", prev, "b", body, "c", integer(appended + #body))
  if added.err then
    failure = "! " .. added.err
    local newest = redis.call("XREVRANGE", log, "+", "-", "COUNT", 1)[1]
    if newest and tonumber(string.match(newest[1], "^%d+")) > last then
      redis.call("HSET", meta, "epoch", epoch, "seq", string.match(newest[1], "^%d+"),
        "ts", newest[2][2], "cum", newest[2][8])
      failure = "! TRYAGAIN the log was ahead of its head"
    end
    return failure
  end
  if is_removal then
    local until_ms = math.max(now + max_age + spare_ms, tonumber(head[7] or 0))
    bury(log, removed, ARGV[14], ARGV[15], ARGV[16], tonumber(max_messages), until_ms)
  end
  last, last_ts, appended = last + 1, tonumber(ts), appended + #body
  entries[#entries + 1] = { seq = seq, ts = ts, prev = prev, body = body }
  local place = epoch .. " " .. seq .. " " .. ts
  redis.call("SET", dedupe, place, "PX", dedupe_ms)
  return place .. " 0"
end

for i = 1, count do
  local stored = not failure and redis.pcall("GET", KEYS[2 + i])
  local place = type(stored) == "string" and place_of(KEYS[2 + i], stored)
  if failure then
    answers[i] = failure
  elseif type(stored) == "table" then
    answers[i] = "! " .. stored.err
  elseif place then
    answers[i] = place .. " 1"
  elseif is_removal and not stands_at(log, ARGV[14], ARGV[15]) then
    answers[i] = "gone"
  else
    answers[i] = add(KEYS[2 + i], ARGV[12 + i])
  end
end
if #entries == 0 and (failure or not head[1] or epoch == head[1]) then return table.concat(answers, "\n") end

redis.call("HSET", meta, "epoch", epoch, "seq", integer(last), "ts", integer(last_ts), "cum", integer(appended))
for _, entry in ipairs(entries) do
  add_event(outbox, dropped, "k", "message", "e", epoch, "s", entry.seq, "b", entry.body)
end
local floor, oldest = tonumber(head[5] or 0), tonumber(head[6])
-- One trimming takes up to 64 entries: as many trimmings as it takes where large messages come behind many small ones.
for _ = 1, #entries + math.floor((appended - tonumber(head[4] or 0)) / 4096) do
  if oldest and oldest >= now - max_age and appended - floor <= max_bytes then break end
  floor, oldest = trim_log(log, last, appended, max_bytes, now - max_age)
  redis.call("HSET", meta, "floor", integer(floor), "oldest", integer(oldest))
end
-- The first entry makes the log's key, which has no end yet. Whoever renews where there is no log notes none.
if not head[6] or tonumber(head[7] or 0) < now + max_age then
  renew_lives(now, max_age, tonumber(dedupe_ms), spare_ms, meta, log, { removed })
end
for _, entry in ipairs(entries) do
  redis.call("SPUBLISH", channel, '{"seq":' .. entry.seq .. ',"prev":' .. entry.prev .. ',"ts":' .. entry.ts
    .. ',"epoch":"' .. epoch .. '"' .. envelope .. entry.body .. "]}}}")
end
return table.concat(answers, "\n")
