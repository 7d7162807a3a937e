-- Lets a connection into a room, or refuses and changes nothing. All that a join needs to know comes of this one step.
-- KEYS  1 meta, 2 log, 3 presence, 4 members, 5 bans, 6 mark of a join that was given up, 7 removed; where an endpoint
--       wants presence: 8 9 outbox and what it dropped
-- ARGV  1 channel, 2 room (JSON), 3 connection, 4 incarnation, 5 attempt, 6 user, 7 identity (JSON without braces),
--       8 state (JSON, or "" to keep the known one), 9 most users (0: any), 10 members to list, 11 epoch to start if one
--       is needed, 12 most age, 13 life of dedupe entries, 14 longest time between renewals (times in ms), 15 who is told: others, nobody,
--       everybody, 16 "1" where the name and state that are known stay, 17 most bytes of members to list
-- Returns { "superseded" }, { "banned", until }, { "room_full" }, or
--         { "joined", "epoch seq ts version members", cursor or "", members as JSON … }
--- @include "integer.lua"
--- @include "now_ms.lua"
--- @include "open_room.lua"
--- @include "renew_lives.lua"
--- @include "user_json.lua"
--- @include "seat_of.lua"
--- @include "list_members.lua"
--- @include "publish_change.lua"
--- @include "add_event.lua"
local meta, log, presence, members, bans, left = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local removed, outbox, dropped = KEYS[7], KEYS[8], KEYS[9]
local channel, room, connection, incarnation, attempt = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local user, identity, state = ARGV[6], ARGV[7], ARGV[8]
local max_members, shown, fresh_epoch = tonumber(ARGV[9]), tonumber(ARGV[10]), ARGV[11]
local max_age, dedupe_ms, spare_ms = tonumber(ARGV[12]), tonumber(ARGV[13]), tonumber(ARGV[14])
local tells, keeps_known = ARGV[15], ARGV[16] == "1"

local now = now_ms()
local known = redis.call("HMGET", presence, "c:" .. connection, "n:" .. user, "p:" .. user, "s:" .. user)
local _, seated_by = seat_of(known[1])
local given_up = tonumber(redis.call("GET", left) or -1)
if math.max(seated_by or 0, given_up + 1) > tonumber(attempt) then return { "superseded" } end
local banned_until = redis.call("ZSCORE", bans, user)
if banned_until and tonumber(banned_until) > now then return { "banned", banned_until } end
local count = redis.call("ZCARD", members)
if max_members > 0 and not known[2] and count >= max_members then return { "room_full" } end

local epoch, seq, ts, version = open_room(meta, log, members, fresh_epoch)
local first = not known[2]
keeps_known = keeps_known and not first
if keeps_known and known[3] then identity = known[3] end
if state == "" or keeps_known and known[4] then state = not first and known[4] end
local event = first and "userJoined" or (identity ~= known[3] or state ~= known[4]) and "userUpdated"
redis.call("HSET", presence, "c:" .. connection, incarnation .. " " .. attempt .. " " .. user, "p:" .. user, identity)
if state then redis.call("HSET", presence, "s:" .. user, state) end
if not seated_by then
  redis.call("HINCRBY", presence, "n:" .. user, 1)
  redis.call("HINCRBY", presence, "connections", 1)
end
if event then version = redis.call("HINCRBY", meta, "version", 1) end
if first then count = count + redis.call("ZADD", members, version, user) end
renew_lives(now, max_age, dedupe_ms, spare_ms, meta, log, { presence, members, removed })
if event and tells ~= "nobody" then
  local whom = user_json(identity, state)
  publish_change(channel, room, event, tells == "everybody" and "" or connection, whom, count, integer(version))
  if first then add_event(outbox, dropped, "k", "joined", "b", whom, "n", count, "v", integer(version)) end
end
local reply = { "joined", table.concat({ epoch, integer(seq), integer(ts), integer(version), count }, " ") }
for _, part in ipairs(list_members(presence, members, 0, shown, tonumber(ARGV[17]))) do reply[#reply + 1] = part end
return reply
