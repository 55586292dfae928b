# Starting, watching and stopping processes by id: children in groups of their own, free ports, the lock. Sourced.
# shellcheck shell=bash

# The long command in the foreground of the script (a build, a sync, the daemon), if any.
CHILD=

# run COMMAND...: runs a command in a process group of its own and waits; returns its status. A signal to the script
# is then handled at once and not after the command, and stopping the group leaves no grandchild behind.
run() {
    local status=0
    set -m
    "$@" </dev/null 9>&- &
    CHILD=$!
    set +m
    wait "$CHILD" || status=$?
    CHILD=
    return "$status"
}

# stop_child SECONDS: asks the foreground child's group to end, and ends it by force after that time.
stop_child() {
    [ -n "$CHILD" ] || return 0
    stop_group "$CHILD" "$1"
    CHILD=
}

# stop_group PID SECONDS: SIGTERM to the group led by PID, SIGKILL to what is left after SECONDS.
stop_group() {
    local pid=$1 waited=0
    kill -TERM -- "-$pid" 2>/dev/null || return 0
    while kill -0 "$pid" 2>/dev/null && [ "$waited" -lt $(($2 * 10)) ]; do
        sleep 0.1
        waited=$((waited + 1))
    done
    kill -KILL -- "-$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
}

# free_port: prints a TCP port of 127.0.0.1 that nobody listens on now.
free_port() {
    "$(system_python)" -c 'import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])'
}

# port_answers HOST PORT: true when something accepts connections there.
port_answers() { (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null; }

# wait_for_port PORT PID SECONDS: true once the port of 127.0.0.1 answers; false when the process ended or time is up.
wait_for_port() {
    local waited=0
    until port_answers 127.0.0.1 "$1"; do
        kill -0 "$2" 2>/dev/null || return 1
        [ "$waited" -lt $(($3 * 10)) ] || return 1
        sleep 0.1
        waited=$((waited + 1))
    done
}

# stop_leftover PIDFILE MARK: stops a process an earlier run left behind (that run was killed), only if its command
# line still carries MARK: process ids are reused.
stop_leftover() {
    local pid
    pid=$(cat "$1" 2>/dev/null) || return 0
    rm -f "$1"
    if [ -n "$pid" ] && { tr '\0' ' ' <"/proc/$pid/cmdline"; } 2>/dev/null | grep -qF -- "$2"; then
        note "stopping process $pid, left by an earlier run"
        kill -TERM "$pid" 2>/dev/null || return 0
        local waited=0
        while kill -0 "$pid" 2>/dev/null && [ "$waited" -lt 100 ]; do
            sleep 0.1
            waited=$((waited + 1))
        done
        kill -KILL "$pid" 2>/dev/null || true
    fi
}

# hold_lock FILE MESSAGE: one script at a time; the lock is file descriptor 9 and ends with the process.
hold_lock() {
    exec 9>"$1"
    flock -n 9 || fail "$2"
}
