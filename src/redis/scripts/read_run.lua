-- Entries from one end of a range towards the other, without a hole between them, until a bound; and 1 where others
-- follow. A row is "seq ts prev", then the body. Chunks grow, so that little is read in vain.
local function read_run(log, removed, command, from, to, step, max_messages, max_bytes, min_ts)
  local rows, count, bytes, chunk, expected = {}, 0, 0, 4, nil
  local has_tombstones = redis.call("HLEN", removed) > 0
  while true do
    local entries = redis.call(command, log, from, to, "COUNT", chunk)
    for _, entry in ipairs(entries) do
      local seq = string.match(entry[1], "^%d+")
      local ts, prev, body = entry[2][2], entry[2][4], entry[2][6]
      if tonumber(ts) < min_ts then return rows, 0 end
      -- By its ts, too: in a log that was lost and goes on, another message may stand there.
      local tombstone = has_tombstones and redis.call("HGET", removed, seq)
      if tombstone and string.match(tombstone, "^%d+") == ts then body = string.sub(tombstone, #ts + 2) end
      local full = count == max_messages or (count > 0 and bytes + #body > max_bytes)
      if full or (expected and tonumber(seq) ~= expected) then return rows, 1 end
      rows[#rows + 1] = seq .. " " .. ts .. " " .. prev
      rows[#rows + 1] = body
      count, bytes, expected = count + 1, bytes + #body, seq + step
    end
    if #entries < chunk then return rows, 0 end
    from, chunk = integer(expected) .. "-0", math.min(chunk * 2, 64)
  end
end
