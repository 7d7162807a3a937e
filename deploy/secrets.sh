#!/bin/sh
# Writes what does not exist yet: random secrets for a first try, each a file, readable by the services' users only. What is
# made of them is written anew each time: a later version may need more rights in Redis.
# In production they come from elsewhere, by the same _FILE variables.
set -eu
cd "${1:-/secrets}"
random() { head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n'; }
write() { # name value owner
  (umask 077 && printf '%s' "$2" >"$1.new" && chown "$3" "$1.new" && mv "$1.new" "$1")
}
put() { # name value owner
  [ -s "$1" ] || write "$@"
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
put jwt-secret "$(random)" 1000:1000
put api-keys "$(random)" 1000:1000
put redis-password "$(random)" 999:999
# Two users of Redis: `default` is the operator's, `roomcast` has what nodes need (docs/operations.md) and nothing more.
put redis-node-password "$(random)" 999:999
put redis-url "redis://roomcast:$(cat redis-node-password)@redis:6379" 1000:1000
put grafana-password "$(random)" 472
write redis.conf "requirepass $(cat redis-password)
user roomcast on >$(cat redis-node-password) resetkeys resetchannels -@all $(printf %s "$rights ${REDIS_MORE_RIGHTS:-}" | tr -s '\n ' ' ')" 999:999
chmod 755 .
