#!/usr/bin/env bash
# Makes the databases of the first release (commit a495e18), from which every later version has to upgrade:
#
#   tests/samples/first-release/make.sh BINARY ENGINE POSTGRES
#
# BINARY is `docknap`, built from that commit; ENGINE is the DOCKER_HOST of an Engine with nothing else on it, and
# POSTGRES the URL of an empty database. Writes first.sqlite, first.sql and the cookies of
# a browser that is logged in, beside this script.
set -euo pipefail
binary=$1 engine=$2 postgres=$3
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
pid=''
trap 'kill $pid 2>/dev/null || true; rm -rf "$work"' EXIT
password='sleepy whales drift at night'
port=18099 url=http://127.0.0.1:18099

serve() {
  env -i PATH="$PATH" DOCKNAP_LISTEN=127.0.0.1:$port DOCKER_HOST="$engine" DOCKNAP_ADMIN_USERNAME=ada \
    DOCKNAP_ADMIN_PASSWORD="$password" TZ=Europe/Berlin "$@" "$binary" serve 2>"$work/log" &
  pid=$!
  for _ in $(seq 100); do curl -fs "$url/readyz" >/dev/null 2>&1 && return; sleep 0.2; done
  cat "$work/log" >&2
  exit 1
}

call() {
  local method=$1 path=$2 body=${3-}
  curl -fsS -X "$method" "$url$path" -H "authorization: Bearer $token" -H 'content-type: application/json' \
    ${body:+-d "$body"}
}

ended() {
  for _ in $(seq 200); do
    [ "$(call GET "/api/runs?state=executing" | jq '.items | length')" = 0 ] &&
      [ "$(call GET "/api/runs?state=pending" | jq '.items | length')" = 0 ] && return
    sleep 0.2
  done
  exit 1
}

# What somebody has after a few days: schedules of each kind, a calendar, an override, a hold, naps, runs, a session.
live() {
  token=$(curl -fsS "$url/api/auth/login" -H 'content-type: application/json' \
    -d "{\"username\":\"ada\",\"password\":\"$password\"}" | jq -r .token)
  call POST /api/calendars '{"name":"Holidays","dates":["2027-03-29"],"ranges":[["2026-12-24","2026-12-31"]],"yearly":["05-01"]}' >/dev/null
  local calendar
  calendar=$(call GET /api/calendars | jq -r '.items[0].id')
  call POST /api/schedules "{\"name\":\"Nights\",\"target_type\":\"stack\",\"target_id\":\"media\",\"kind\":\"window\",\"window\":\"sleep Mon-Fri 23:00-07:00\",\"timezone\":\"Europe/Berlin\",\"calendar_id\":\"$calendar\",\"calendar_effect\":\"awake\"}" >/dev/null
  call POST /api/schedules '{"name":"Weekly restart","target_type":"container","target_id":"loner","action":"restart","cron":"0 4 * * 0","catch_up_seconds":3600}' >/dev/null
  call POST /api/schedules '{"name":"Once","target_type":"stack","target_id":"lab","action":"start","at":"2037-01-05T08:00:00Z"}' >/dev/null
  call POST /api/schedules '{"name":"Off","target_type":"stack","target_id":"lab","action":"stop","cron":"0 22 * * *","enabled":false}' >/dev/null
  call POST /api/stacks/local/lab/nap '{"until":"'$(date -u -d "+20 days" +%FT08:00:00Z)'","reason":"holidays"}' >/dev/null
  call POST /api/stacks/local/media/nap '{}' >/dev/null
  ended
  call POST /api/containers/local/loner/stop >/dev/null; ended
  call POST /api/containers/local/loner/start >/dev/null; ended
  call PUT /api/containers/local/loner/lock '{"reason":"on purpose"}' >/dev/null
  curl -fsS -o /dev/null -D "$work/headers" "$url/login" -H "origin: $url" \
    --data-urlencode name=ada --data-urlencode "password=$password"
  grep -i '^set-cookie' "$work/headers" | sed 's/^[^:]*: *//; s/;.*//' | tr -d '\r' | sort -u
}

docker --host "$engine" rm -f media_db_1 media_web_1 lab_box_1 loner >/dev/null 2>&1 || true
container() {
  local name=$1; shift
  docker --host "$engine" run -d --name "$name" "$@" "${IMAGE:-docknap-sample:latest}" \
    sh -c 'trap "exit 0" TERM; while true; do sleep 1 & wait $!; done' >/dev/null
}
of() { echo "--label com.docker.compose.project=$1 --label com.docker.compose.service=$2 --label com.docker.compose.container-number=1"; }
container media_db_1 $(of media db); container media_web_1 $(of media web) --label com.docker.compose.depends_on=db
container lab_box_1 $(of lab box); container loner

mkdir "$work/a" "$work/b"
serve DOCKNAP_DATA_DIR="$work/a"
live >"$here/cookies.sqlite"
kill "$pid"; wait "$pid" || true
cp "$work/a/docknap.db" "$here/first.sqlite"
docker --host "$engine" start media_db_1 media_web_1 lab_box_1 >/dev/null
serve DOCKNAP_DATA_DIR="$work/b" DOCKNAP_DATABASE_URL="$postgres"
live >"$here/cookies.postgres"
kill "$pid"; wait "$pid" || true
# Without the commands of psql.
pg_dump --no-owner --no-privileges --inserts "$postgres" | grep -v "^\\\\" >"$here/first.sql"
docker --host "$engine" rm -f media_db_1 media_web_1 lab_box_1 loner >/dev/null
