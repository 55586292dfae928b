# A private MongoDB source: a real mongod when one is on PATH, else nx-27017, MongoDB's wire protocol over SQLite. Sourced.
# shellcheck shell=bash

# Set by start_mongo and start_nx: the process, and the server's URL without a database name.
MONGO_PID=
MONGO_URL=

# start_mongo FOLDER: starts the best server there is, its data kept in FOLDER.
start_mongo() {
    if command -v mongod >/dev/null; then
        note "source: $(mongod --version | head -n 1)"
        start_server "$1/mongod" mongod --dbpath "$1/mongod" --bind_ip 127.0.0.1 --nounixsocket --port
    else
        note "source: nx-27017, since there is no mongod on PATH (good for a few thousand products)"
        start_nx "$1/nx" "$1/nx"
    fi
}

# start_nx FOLDER DATA: starts nx-27017 with its files in FOLDER; DATA is a folder, or memory.
start_nx() {
    start_server "$1" "$PYTHON" -c 'import sys; from nx_27017.nx_27017 import main; sys.exit(main())' \
        --data-dir "$2" --log-file "$1/server.log" --pid-file "$1/nx.pid" --host 127.0.0.1 --port
}

# start_server FOLDER COMMAND...: runs COMMAND with a free port appended, in the background and in a process group of
# its own, and waits until it answers.
start_server() {
    local folder=$1 port attempt
    shift
    mkdir -p "$folder"
    stop_leftover "$folder/pid" "$folder"
    for attempt in 1 2 3; do
        port=$(free_port)
        set -m
        "$@" "$port" </dev/null >"$folder/output.log" 2>&1 9>&- &
        MONGO_PID=$!
        set +m
        printf '%s\n' "$MONGO_PID" >"$folder/pid"
        if wait_for_port "$port" "$MONGO_PID" 60; then
            # shellcheck disable=SC2034  # read by the scripts that source this file
            MONGO_URL=mongodb://127.0.0.1:$port
            return 0
        fi
        stop_mongo
    done
    tail -n 20 "$folder/output.log" >&2
    fail "the MongoDB source did not start in $attempt attempts; the last lines of its log stand above"
}

# stop_mongo: ends the server; quiet when there is none.
stop_mongo() {
    [ -n "$MONGO_PID" ] || return 0
    stop_group "$MONGO_PID" 10
    MONGO_PID=
}
