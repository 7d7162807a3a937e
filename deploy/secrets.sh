#!/bin/sh
# Writes what does not exist yet: random secrets for a first try, each a file, readable by the services' users only.
# In production they come from elsewhere, by the same _FILE variables.
set -eu
cd "${1:-/secrets}"
random() { head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n'; }
put() { # name value
  [ -s "$1" ] || (umask 077 && printf '%s' "$2" >"$1.new" && mv "$1.new" "$1")
}
# A test compares them with docs/operations.md.
rights='~{roomcast#* ~roomcast:* &roomcast#* &roomcast:*
  +hello +auth +info +time +client|setname +script|load +evalsha +evalsha_ro
  +spublish +ssubscribe +sunsubscribe +pubsub|shardnumsub
  +get +set +del +pexpire +pexpireat
  +hget +hmget +hset +hdel +hexists +hincrby +hlen +hscan
  +sadd +srem +srandmember +sscan
  +zadd +zcard +zrange +zrevrange +zrangebyscore +zscan +zscore +zrem +zremrangebyscore
  +xadd +xrange +xrevrange +xtrim'
put jwt-secret "$(random)"
put api-keys "$(random)"
put redis-password "$(random)"
# Two users of Redis: `default` is the operator's, `roomcast` has what nodes need (docs/operations.md) and nothing more.
put redis-node-password "$(random)"
put redis-url "redis://roomcast:$(cat redis-node-password)@redis:6379"
put grafana-password "$(random)"
put redis.conf "requirepass $(cat redis-password)
user roomcast on >$(cat redis-node-password) resetkeys resetchannels -@all $(printf %s "$rights" | tr -s '\n ' ' ')"
chown 1000:1000 jwt-secret api-keys redis-url
chown 472 grafana-password
chown 999:999 redis.conf redis-password redis-node-password
chmod 755 .
