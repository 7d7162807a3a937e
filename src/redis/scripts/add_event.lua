-- Leaves an event for webhooks in the room's own slot, where some endpoint wants it: `outbox` is nil elsewhere. Its
-- fields are name and value in turn. Past the bound it is counted and not kept: a room never waits for its webhooks.
local function outbox_is_full(outbox)
  local most_events = 10000
  return redis.call("XLEN", outbox) >= most_events
end

local function add_event(outbox, dropped, ...)
  if not outbox then return end
  local life_ms = 604800000
  if outbox_is_full(outbox) then
    redis.call("INCR", dropped)
    redis.call("PEXPIRE", dropped, life_ms)
    return
  end
  redis.call("XADD", outbox, "*", ...)
  redis.call("PEXPIRE", outbox, life_ms)
end
