# A private PostgreSQL cluster: made, started on a free port of 127.0.0.1, stopped. Sourced, not run.
# shellcheck shell=bash

# Set by start_postgres: the folder of the cluster, and the superuser's URL without a database name.
CLUSTER=
POSTGRES_URL=

# pg PROGRAM ARGS...: runs a server program, as user postgres when we are root (PostgreSQL refuses to run as root).
pg() {
    local program
    program=$(pg_program "$1") || fail "PostgreSQL's $1 was not found; is the package postgresql installed?"
    shift
    # From / because user postgres may not enter the folder we are in.
    if [ "$(id -u)" = 0 ]; then
        (cd / && exec runuser -u postgres -- "$program" "$@" 9>&-)
    else
        (cd / && exec "$program" "$@" 9>&-)
    fi
}

# pg_program NAME: prints the path of the newest installed version; Debian keeps server programs off PATH.
pg_program() {
    local found
    found=$(find /usr/lib/postgresql/*/bin -name "$1" 2>/dev/null | sort -V | tail -n 1)
    [ -n "$found" ] || found=$(command -v "$1") || return 1
    printf '%s\n' "$found"
}

# choose_cluster FOLDER: sets CLUSTER to FOLDER, or, where user postgres cannot get there (a checkout below /root or
# below a folder of mode 700), to a folder under /var/tmp whose path is kept in FOLDER.path.
choose_cluster() {
    local folder=$1 pointer=$1.path
    if [ -s "$pointer" ] && [ -d "$(cat "$pointer")" ]; then
        CLUSTER=$(cat "$pointer")
        return 0
    fi
    CLUSTER=$folder
    mkdir -p "$folder" && chmod 700 "$folder"
    [ "$(id -u)" = 0 ] || return 0
    chown postgres "$folder"
    if ! (cd / && runuser -u postgres -- test -w "$folder" -a -x "$folder"); then
        rmdir "$folder"
        CLUSTER=$(mktemp -d /var/tmp/tallyman-postgres.XXXXXX)
        chown postgres "$CLUSTER"
        printf '%s\n' "$CLUSTER" >"$pointer"
        note "user postgres cannot enter the project folder; the cluster's data are in $CLUSTER"
    fi
}

# start_postgres FOLDER [SETTING=VALUE...]: makes the cluster in FOLDER when there is none, starts it, sets POSTGRES_URL.
# Connections need no password: the server listens on 127.0.0.1 only and holds nothing but sample data.
start_postgres() {
    local folder=$1 port attempt
    shift
    choose_cluster "$folder"
    if ! pg test -f "$CLUSTER/data/PG_VERSION" 2>/dev/null; then
        make_cluster "$@"
    fi
    if pg pg_ctl -D "$CLUSTER/data" status >/dev/null 2>&1; then
        note "stopping a PostgreSQL left by an earlier run"
        stop_postgres
    fi
    for attempt in 1 2 3; do
        port=$(free_port)
        if pg pg_ctl -D "$CLUSTER/data" -l "$CLUSTER/log" -w -t 60 -o "-p $port" start >/dev/null 2>&1; then
            POSTGRES_URL=postgresql://postgres@127.0.0.1:$port
            return 0
        fi
    done
    pg tail -n 20 "$CLUSTER/log" >&2 || true
    fail "PostgreSQL did not start in $attempt attempts; the last lines of its log stand above"
}

# make_cluster [SETTING=VALUE...]: initdb; TCP on loopback only. No Unix socket: its path is limited to 107 bytes, and
# a checkout may lie deeper than that.
make_cluster() {
    local output
    output=$(pg initdb -D "$CLUSTER/data" --username=postgres --auth=trust --encoding=UTF8 --locale=C.UTF-8 \
        --no-sync 2>&1) || {
        printf '%s\n' "$output" >&2
        fail "initdb failed in $CLUSTER"
    }
    printf '%s\n' "listen_addresses = '127.0.0.1'" "unix_socket_directories = ''" "$@" |
        pg tee -a "$CLUSTER/data/postgresql.conf" >/dev/null
}

# stop_postgres: ends the cluster that start_postgres started; quiet when there is none.
stop_postgres() {
    [ -n "$CLUSTER" ] || return 0
    pg pg_ctl -D "$CLUSTER/data" -m fast -w -t 30 stop >/dev/null 2>&1 ||
        pg pg_ctl -D "$CLUSTER/data" -m immediate -w -t 10 stop >/dev/null 2>&1 || true
}

# sql DATABASE [ARGS...]: psql against the private cluster, without the user's own settings.
sql() {
    local database=$1
    shift
    PGOPTIONS='' psql --no-psqlrc --no-password --quiet --tuples-only --no-align -v ON_ERROR_STOP=1 \
        -d "$POSTGRES_URL/$database" "$@"
}
