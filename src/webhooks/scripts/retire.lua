-- Forgets a room whose outbox was seen empty, unless it was announced since.
-- KEYS  1 rooms whose outboxes are to be looked at
-- ARGV  1 room, 2 score of the claim
-- Returns nothing
local score = redis.call("ZSCORE", KEYS[1], ARGV[1])
if score and tonumber(score) == tonumber(ARGV[2]) then redis.call("ZREM", KEYS[1], ARGV[1]) end
