-- Removes the oldest entries, at most 64 of them, that are too old or past the bound in bytes (then down to 7/8 of it);
-- never the one at `last`. Returns the bytes appended before the first entry that was kept, and its ts.
local function trim_log(log, last, appended, max_bytes, min_ts)
  local limit, floor, oldest, cut
  for _ = 1, 8 do
    local entries = redis.call("XRANGE", log, cut and "(" .. cut or "-", "+", "COUNT", 8)
    for _, entry in ipairs(entries) do
      local ts, body, after = entry[2][2], entry[2][6], entry[2][8]
      local seq = tonumber(string.match(entry[1], "^%d+"))
      floor, oldest = after - #body, tonumber(ts)
      limit = limit or (appended - floor > max_bytes and max_bytes * 7 / 8 or max_bytes)
      if seq >= last or (oldest >= min_ts and appended - floor <= limit) then
        if cut then redis.call("XTRIM", log, "MINID", "=", entry[1]) end
        return floor, oldest
      end
      cut, floor = entry[1], tonumber(after)
    end
    if #entries < 8 then break end
  end
  if cut then redis.call("XTRIM", log, "MINID", "=", integer(string.match(cut, "^%d+") + 1) .. "-0") end
  return floor or appended, oldest or min_ts
end
