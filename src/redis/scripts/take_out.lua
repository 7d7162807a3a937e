-- Takes a connection's seat away; where it was the user's last one, the user leaves and the room is told.
-- Returns how many seats that were: 1, or 0 where it was gone already.
local function take_out(meta, presence, members, channel, room, connection, user, outbox, dropped)
  if redis.call("HDEL", presence, "c:" .. connection) == 0 then return 0 end
  if redis.call("HINCRBY", presence, "connections", -1) <= 0 then redis.call("HDEL", presence, "connections") end
  if redis.call("HINCRBY", presence, "n:" .. user, -1) > 0 then return 1 end
  local profile = redis.call("HMGET", presence, "p:" .. user, "s:" .. user)
  redis.call("HDEL", presence, "n:" .. user, "p:" .. user, "s:" .. user)
  redis.call("ZREM", members, user)
  local version = redis.call("HINCRBY", meta, "version", 1)
  -- Only where the room was lost but for this: what is left of it must not stay for ever.
  redis.call("PEXPIRE", meta, 3600000, "NX")
  local identity = profile[1] or '"id":' .. cjson.encode(user)
  local count = redis.call("ZCARD", members)
  local whom = user_json(identity, profile[2])
  publish_change(channel, room, "userLeft", connection, whom, count, version)
  add_event(outbox, dropped, "k", "left", "b", whom, "n", count, "v", version)
  return 1
end
