-- Publishes a presence change in the sharded adapter's wire format, with a header of ours in front. Room and user are
-- JSON texts. The connection that joined does not hear of itself.
local function publish_change(channel, room, event, connection, user, count, version)
  local by = cjson.encode(connection)
  local except = event == "userJoined" and by or ""
  local counted = event ~= "userUpdated" and ',"memberCount":' .. count or ""
  redis.call("SPUBLISH", channel, '{"version":' .. version .. ',"count":' .. count .. ',"by":' .. by
    .. ',"uid":"roomcast","nsp":"/","type":3,"data":{"opts":{"rooms":[' .. room .. '],"except":[' .. except
    .. '],"flags":{}},"packet":{"type":2,"nsp":"/","data":["' .. event .. '",{"room":' .. room .. ',"user":' .. user
    .. counted .. ',"version":' .. version .. "}]}}}")
end
