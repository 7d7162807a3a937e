#!/bin/sh
# Writes what does not exist yet: random secrets for a first try, each a file, readable by the services' users only.
# In production they come from elsewhere, by the same _FILE variables.
set -eu
cd "${1:-/secrets}"
random() { head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n'; }
put() { # name value
  [ -s "$1" ] || (umask 077 && printf '%s' "$2" >"$1.new" && mv "$1.new" "$1")
}
put jwt-secret "$(random)"
put api-keys "$(random)"
put redis-password "$(random)"
put redis-url "redis://default:$(cat redis-password)@redis:6379"
put grafana-password "$(random)"
put redis.conf "requirepass $(cat redis-password)"
chown 1000:1000 jwt-secret api-keys redis-url
chown 472 grafana-password
chown 999:999 redis.conf redis-password
chmod 755 .
