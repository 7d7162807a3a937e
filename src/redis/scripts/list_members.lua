-- Members who came after a version, at most `limit`: the version to go on from ("" at the end), then each as JSON text.
local function list_members(presence, members, after, limit)
  local found = redis.call("ZRANGEBYSCORE", members, "(" .. after, "+inf", "WITHSCORES", "LIMIT", 0, limit + 1)
  local shown = math.min(#found / 2, limit)
  if shown == 0 then return { "" } end
  local fields = {}
  for i = 1, shown do
    fields[2 * i - 1] = "p:" .. found[2 * i - 1]
    fields[2 * i] = "s:" .. found[2 * i - 1]
  end
  local profiles = redis.call("HMGET", presence, unpack(fields))
  local list = { #found / 2 > limit and found[2 * limit] or "" }
  for i = 1, shown do
    if profiles[2 * i - 1] then list[#list + 1] = user_json(profiles[2 * i - 1], profiles[2 * i]) end
  end
  return list
end
