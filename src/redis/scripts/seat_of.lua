-- Whose seat an entry is: incarnation of the node, attempt, user; nil where there is none.
local function seat_of(entry)
  if not entry then return nil end
  local incarnation, attempt, user = string.match(entry, "^(%S+) (%d+) (.*)$")
  return incarnation, tonumber(attempt), user
end
