-- The first seq from `from` to `last` whose entry is not older than `min_ts`, by halving: ts never runs backwards.
local function first_fresh(log, from, last, min_ts)
  local probe, limit = from, last + 1
  while from < limit do
    local found = redis.call("XRANGE", log, integer(probe) .. "-0", integer(last) .. "-0", "COUNT", 1)
    if #found == 0 or tonumber(found[1][2][2]) >= min_ts then
      limit = probe
    else
      from = string.match(found[1][1], "^%d+") + 1
    end
    probe = math.floor((from + limit) / 2)
  end
  return limit
end
