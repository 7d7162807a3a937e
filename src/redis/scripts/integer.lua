-- The digits of a whole number: Lua's own way turns large ones into 1.7e+12.
local function integer(number)
  return string.format("%.0f", number)
end
