-- A user as clients see them, put together from JSON texts that nodes encoded: the identity without braces, the state.
local function user_json(identity, state)
  return "{" .. identity .. (state and ',"state":' .. state or "") .. "}"
end
