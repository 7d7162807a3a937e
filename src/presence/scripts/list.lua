-- Who is in a room, a page of them; writes nothing.
-- KEYS  1 meta, 2 presence, 3 members
-- ARGV  1 version to go on from, 2 most members
-- Returns { "version members", cursor or "", members as JSON … }
--- @include "user_json.lua"
--- @include "list_members.lua"
local meta, presence, members = KEYS[1], KEYS[2], KEYS[3]
local reply = { (redis.call("HGET", meta, "version") or "0") .. " " .. redis.call("ZCARD", members) }
for _, part in ipairs(list_members(presence, members, ARGV[1], tonumber(ARGV[2]))) do reply[#reply + 1] = part end
return reply
