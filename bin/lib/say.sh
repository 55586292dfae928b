# Where things are, and how the scripts in bin/ speak: one place for paths, messages and failing. Sourced, not run.
# shellcheck shell=bash

# The callers work from the project folder whatever its path, and never see a symbolic link in it.
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
STATE=$ROOT/.tallyman

say() { printf '==> %s\n' "$*" >&2; }
note() { printf '    %s\n' "$*" >&2; }
warn() { printf '!!  %s\n' "$*" >&2; }
# fail MESSAGE: ends the script with exit code 1.
fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# prepare_state: makes .tallyman/, which holds everything the scripts keep between two runs.
prepare_state() {
    mkdir -p "$STATE" 2>/dev/null || fail "cannot create $STATE; is the project folder yours?"
    [ -w "$STATE" ] || fail "$STATE is not writable for $(id -un); remove it or run as its owner"
}

# load_env_file FILE: exports NAME=value lines; what the environment already has wins. The file is read, never run.
load_env_file() {
    local line name value
    [ -f "$1" ] || return 0
    while IFS= read -r line || [ -n "$line" ]; do
        line=${line%$'\r'}
        if [[ $line =~ ^[[:space:]]*(export[[:space:]]+)?([A-Za-z_][A-Za-z0-9_]*)[[:space:]]*=(.*)$ ]]; then
            name=${BASH_REMATCH[2]}
            value=${BASH_REMATCH[3]}
            value=${value#"${value%%[![:space:]]*}"}
            case $value in
                \"*\"*) value=${value#\"} && value=${value%%\"*} ;;
                \'*\'*) value=${value#\'} && value=${value%%\'*} ;;
                '#'*) value= ;;
                *) value=${value%%[[:space:]]#*} && value=${value%"${value##*[![:space:]]}"} ;;
            esac
            # An empty value is an entry nobody has filled in, as in .env.example.
            if [ -n "$value" ] && [ -z "${!name:-}" ]; then export "$name=$value"; fi
        fi
    done <"$1"
}
