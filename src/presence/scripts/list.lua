-- Who is in a room, a page of them; writes nothing.
-- KEYS  1 meta, 2 presence, 3 members
-- ARGV  1 version to go on from, 2 most members, 3 most bytes of them
-- Returns { "version members", cursor or "", members as JSON … }
--- @include "user_json.lua"
--- @include "list_members.lua"
local meta, presence, members = KEYS[1], KEYS[2], KEYS[3]
local reply = { (redis.call("HGET", meta, "version") or "0") .. " " .. redis.call("ZCARD", members) }
local page = list_members(presence, members, ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]))
for _, part in ipairs(page) do reply[#reply + 1] = part end
return reply
