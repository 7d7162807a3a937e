-- Whether the entry of that ts stands at that place of the log.
local function stands_at(log, seq, ts)
  local found = redis.call("XRANGE", log, seq .. "-0", seq .. "-0")[1]
  return found and found[2][2] == ts
end
