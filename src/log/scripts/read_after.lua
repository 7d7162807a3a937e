-- The entries after a seq, oldest first; writes nothing.
-- KEYS  1 meta, 2 log, 3 removed
-- ARGV  1 seq, 2 most messages, 3 most bytes, 4 most age in ms
-- Returns { "epoch seq ts" of the log's end ("" where the room is unknown), 1 where more follow, rows of read_run }
--- @include "integer.lua"
--- @include "now_ms.lua"
--- @include "read_run.lua"
--- @include "first_fresh.lua"
local meta, log, removed = KEYS[1], KEYS[2], KEYS[3]
local after, max_messages, max_bytes = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local min_ts = now_ms() - ARGV[4]

local head = redis.call("HMGET", meta, "epoch", "seq", "ts")
if not head[1] then return { "", 0, {} } end
local from, last = after + 1, tonumber(head[2])
local rows, more = {}, 0
if from <= last then
  from = first_fresh(log, from, last, min_ts)
  rows, more = read_run(log, removed, "XRANGE", integer(from) .. "-0", integer(last) .. "-0", 1, max_messages, max_bytes, min_ts)
end
return { head[1] .. " " .. head[2] .. " " .. head[3], more, rows }
