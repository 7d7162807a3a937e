-- What changes with everything that a comparison looks at: the head, the version of presence, and what was trimmed. Takes the
-- first five of `HMGET meta epoch seq ts version oldest`.
local function mark_of(state)
  return table.concat({ state[1] or "", state[2] or "", state[3] or "", state[4] or "", state[5] or "" }, "/")
end
