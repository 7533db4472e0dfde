# Functions shared by the scripts in this directory: installing packages and starting services. Every process started
# here is ended by its process id.

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }

# Installs the named Debian packages that are missing, without letting them start their services, so that a
# developer's own Docker and PostgreSQL are not affected.
install_packages() {
  local missing=() package policy=/usr/sbin/policy-rc.d
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  [ "$(id -u)" -eq 0 ] || die "these packages are missing, and installing them needs root: ${missing[*]}"
  say "installing ${missing[*]}"
  local own_policy=
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' > "$policy"; chmod +x "$policy"; own_policy=yes
  fi
  local result=0
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"; } \
    >"${PARTS_LOG:-/dev/null}" 2>&1 || result=$?
  [ -z "$own_policy" ] || rm -f "$policy"
  [ "$result" -eq 0 ] || { tail -n 20 "${PARTS_LOG:-/dev/null}" >&2; die "apt-get could not install ${missing[*]}"; }
}

# Waits until a command succeeds: wait_for SECONDS WHAT COMMAND…
wait_for() {
  local seconds=$1 what=$2 end; shift 2
  end=$((SECONDS + seconds))
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || return 1
    sleep 0.2
  done
}

# Prints a free TCP port of the loopback interface. It is below the range of ports that the kernel assigns to outgoing
# connections, because such a port may be taken at any time.
free_port() {
  local port first
  read -r first _ </proc/sys/net/ipv4/ip_local_port_range
  [ "$first" -gt 21000 ] || first=32768
  while :; do
    port=$((20000 + RANDOM % (first - 20000)))
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { printf '%s' "$port"; return; }
  done
}

# Ends a process and waits for it: end_process PID [SECONDS [SIGNAL]]
end_process() {
  local pid=$1 end=$((SECONDS + ${2:-20}))
  kill -s "${3:-TERM}" "$pid" 2>/dev/null || return 0
  while kill -0 "$pid" 2>/dev/null; do
    [ "$SECONDS" -lt "$end" ] || { kill -9 "$pid" 2>/dev/null || true; break; }
    sleep 0.1
  done
  wait "$pid" 2>/dev/null || true
}

# Starts a separate Docker Engine under DIRECTORY: start_engine DIRECTORY. Sets ENGINE_PID, ENGINE_HOST,
# ENGINE_BRIDGE. iptables is disabled: every dockerd uses the same names for its rules, and a second one would delete
# those of the first.
start_engine() {
  local dir=$1 number subnet=
  mkdir -p "$dir"
  # Two bridges of one subnet: what a container publishes on the second is not reached.
  for number in $(shuf -i 0-255); do
    ip -4 route show root "172.31.$number.0/24" | grep -q . && continue
    ip -4 route show match "172.31.$number.0/24" | grep -qv '^default' && continue
    subnet=172.31.$number; break
  done
  [ -n "$subnet" ] || die "no subnet of 172.31.0.0/16 is free; delete bridges that no Engine uses: ip link del NAME"
  ENGINE_BRIDGE="dn$$x$number"; ENGINE_BRIDGE=${ENGINE_BRIDGE:0:15}
  ip link add name "$ENGINE_BRIDGE" type bridge || die "no network bridge can be made; this needs root"
  ip addr add "$subnet.1/24" dev "$ENGINE_BRIDGE"
  ip link set "$ENGINE_BRIDGE" up
  ENGINE_HOST="unix://$dir/docker.sock"
  # An empty configuration file, so that the machine's own is not used.
  echo '{}' > "$dir/config.json"
  env -u DOCKER_HOST -u DOCKER_TLS_VERIFY -u DOCKER_CERT_PATH dockerd --host "$ENGINE_HOST" --data-root "$dir/data" \
    --exec-root "$dir/exec" --pidfile "$dir/pid" --bridge "$ENGINE_BRIDGE" --iptables=false --ip-masq=false \
    --config-file "$dir/config.json" >"$dir/log" 2>&1 &
  ENGINE_PID=$!
  wait_for 60 dockerd docker --host "$ENGINE_HOST" version || { tail -n 20 "$dir/log" >&2; die "dockerd did not start"; }
}

# Ends the Engine of start_engine with its containers and networks: end_engine DIRECTORY
end_engine() {
  local dir=$1
  if kill -0 "$ENGINE_PID" 2>/dev/null; then
    docker --host "$ENGINE_HOST" ps -aq 2>/dev/null | xargs -r docker --host "$ENGINE_HOST" rm -f >/dev/null 2>&1 || true
    docker --host "$ENGINE_HOST" network prune -f >/dev/null 2>&1 || true
    end_process "$ENGINE_PID" 30
  fi
  ip link del "$ENGINE_BRIDGE" 2>/dev/null || true
  # Mounts of the daemon remain if a container was still running.
  awk -v dir="$dir/" 'index($2, dir) == 1 { print $2 }' /proc/mounts | sort -r | xargs -r umount -l 2>/dev/null || true
}

# Starts chromedriver on a port that it chooses: start_driver LOG. Sets DRIVER_PID, DRIVER_URL.
start_driver() {
  local log=$1 port
  chromedriver --port=0 >"$log" 2>&1 &
  DRIVER_PID=$!
  wait_for 30 chromedriver grep -q 'started successfully on port' "$log" || { cat "$log" >&2; die "chromedriver did not start"; }
  port=$(sed -n 's/.*started successfully on port \([0-9]*\).*/\1/p' "$log")
  DRIVER_URL=http://127.0.0.1:$port
}

# Builds the image of the sample stacks, FROM scratch with the distribution's static busybox: sample_image TAG
sample_image() {
  local context; context=$(mktemp -d)
  cp "$(command -v busybox)" "$context/busybox"
  printf 'FROM scratch\nCOPY busybox /bin/busybox\nRUN ["/bin/busybox", "--install", "-s", "/bin"]\nRUN ["/bin/busybox", "mkdir", "-p", "/tmp"]\n' \
    > "$context/Dockerfile"
  DOCKER_BUILDKIT=0 docker build -q -t "$1" "$context" >/dev/null 2>"$context/log" || { cat "$context/log" >&2; rm -rf "$context"; return 1; }
  rm -rf "$context"
}
