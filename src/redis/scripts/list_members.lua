-- Members who came after a version, at most `limit` and so many bytes, but one at least: the version to go on from ("" at the end),
-- then each as JSON text.
local function list_members(presence, members, after, limit, most_bytes)
  local found = redis.call("ZRANGEBYSCORE", members, "(" .. after, "+inf", "WITHSCORES", "LIMIT", 0, limit + 1)
  local known = #found / 2
  local shown = math.min(known, limit)
  if shown == 0 then return { "" } end
  local fields = {}
  for i = 1, shown do
    fields[2 * i - 1] = "p:" .. found[2 * i - 1]
    fields[2 * i] = "s:" .. found[2 * i - 1]
  end
  local profiles = redis.call("HMGET", presence, unpack(fields))
  local list, bytes = { "" }, 0
  for i = 1, shown do
    if profiles[2 * i - 1] then
      local text = user_json(profiles[2 * i - 1], profiles[2 * i])
      bytes = bytes + #text
      if #list > 1 and bytes > most_bytes then return list end
      list[#list + 1] = text
    end
    list[1] = i < known and found[2 * i] or ""
  end
  return list
end
