# What benchmarks share: the release build, the daemon on a free port, CPU time and memory of a process. Sourced.
# shellcheck shell=bash

# shellcheck source=bin/lib/build.sh
. "$ROOT/bin/lib/build.sh"

# install_tools PACKAGE...: Debian packages that only benchmarks need.
install_tools() {
    local package missing=()
    for package in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    say "installing for the benchmark: ${missing[*]}"
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >"$STATE/apt.log" 2>&1 ||
        fail "apt-get install ${missing[*]} failed; run apt-get update first (log: $STATE/apt.log)"
}

# cpu_ticks PID: user and system time of a process and its children that still run, in clock ticks.
cpu_ticks() {
    local pid total=0
    for pid in "$1" $(pgrep -P "$1" || true); do
        total=$((total + $(awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$pid/stat" 2>/dev/null || echo 0)))
    done
    printf '%s\n' "$total"
}
