-- Whether the log is not what a node was already given: its end was lost, or something else stands at that place.
local function is_fork(log, seq, ts, known_seq, known_ts)
  if known_seq == 0 then return false end
  if known_seq > seq then return true end
  if known_seq == seq then return known_ts ~= ts end
  local id = integer(known_seq) .. "-0"
  local found = redis.call("XRANGE", log, id, id)
  return #found == 1 and tonumber(found[1][2][2]) ~= known_ts
end
