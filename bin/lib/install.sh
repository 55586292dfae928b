# Installs what a fresh Debian 12 lacks: packages with apt, Python packages in a virtual environment. Sourced, not run.
# shellcheck shell=bash

DEBIAN_PACKAGES=(libpq-dev libmongoc-dev libbson-dev zlib1g-dev libzstd-dev zstd postgresql python3-venv pkg-config)
# What the tests need besides: a real browser, its driver and what steers it for the console, and a clock to be set.
TEST_PACKAGES=(chromium chromium-driver python3-selenium libfaketime)

# missing_packages NAME...: prints the names of those Debian packages that are not installed.
missing_packages() {
    local package
    for package in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || printf '%s\n' "$package"
    done
}

# install_packages [NAME...]: installs what is missing of ours and of those named, with sudo when not root; costs
# milliseconds when nothing is.
install_packages() {
    local missing=() as_root=()
    command -v swift >/dev/null || fail "swift is not on PATH; Swift 6.3 is needed (https://www.swift.org/install/linux/)"
    command -v dpkg-query >/dev/null || fail "this is not Debian; install the likes of: ${DEBIAN_PACKAGES[*]} $*"
    mapfile -t missing < <(missing_packages "${DEBIAN_PACKAGES[@]}" "$@")
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || fail "as root, please: apt-get install ${missing[*]}"
        as_root=(sudo)
        # Without a terminal nobody can type a password; a prompt would hang.
        [ -t 0 ] || as_root+=(-n)
    fi
    say "installing Debian packages${as_root[*]:+ with sudo}: ${missing[*]}"
    "${as_root[@]}" apt-get update -qq || warn "apt-get update failed; trying with the package lists there are"
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" \
        >"$STATE/apt.log" 2>&1 || {
        tail -n 20 "$STATE/apt.log" >&2
        fail "apt-get install ${missing[*]} failed (whole log: $STATE/apt.log)"
    }
}

# system_python: prints a Python that can make virtual environments; Debian's own comes first.
system_python() {
    local candidate
    for candidate in /usr/bin/python3 "$(command -v python3 || true)"; do
        if [ -x "$candidate" ] && "$candidate" -c 'import ensurepip, venv' 2>/dev/null; then
            printf '%s\n' "$candidate"
            return 0
        fi
    done
    return 1
}

# install_alone NAME: brings .tallyman/NAME up to what bin/lib/NAME.requirements.txt pins: an environment of its own, for
# programs that pin what they need narrowly.
install_alone() {
    local name=$1 venv=$STATE/$1 base wanted
    base=$(system_python) || fail "no python3 with the venv module; install python3-venv"
    wanted=$(cat "$ROOT/bin/lib/$name.requirements.txt" && "$base" -V && printf '%s\n' "$venv")
    if [ "$(cat "$venv/installed" 2>/dev/null)" = "$wanted" ]; then return 0; fi
    say "installing $name into .tallyman/$name, as pinned in bin/lib/$name.requirements.txt"
    "$base" -m venv --clear "$venv" || fail "cannot make $venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input \
        -r "$ROOT/bin/lib/$name.requirements.txt" >"$STATE/$name.log" 2>&1 || {
        tail -n 20 "$STATE/$name.log" >&2
        fail "pip could not install $name (whole log: $STATE/$name.log)"
    }
    printf '%s\n' "$wanted" >"$venv/installed"
}

# install_dbt: sets DBT to the executable.
install_dbt() {
    install_alone dbt
    DBT=$STATE/dbt/bin/dbt
}

# install_airflow: sets AIRFLOW_PYTHON to the interpreter that has Airflow.
install_airflow() {
    install_alone airflow
    AIRFLOW_PYTHON=$STATE/airflow/bin/python
}

# install_venv FILE: brings .tallyman/venv up to the pinned requirements in FILE and sets PYTHON to its interpreter.
# Nothing happens when it was already done for this very file. The interpreter is called by path, never through the
# scripts of the environment, so a moved checkout still works.
install_venv() {
    local requirements=$1 venv=$STATE/venv base stamp wanted
    base=$(system_python) || fail "no python3 with the venv module; install python3-venv"
    stamp=$venv/$(basename "$requirements").installed
    wanted=$(cat "$ROOT"/bin/lib/*.requirements.txt && "$base" -V)
    PYTHON=$venv/bin/python
    if [ -x "$PYTHON" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && "$PYTHON" -c '' 2>/dev/null; then
        return 0
    fi
    say "installing Python packages into .tallyman/venv, as pinned in bin/lib/$(basename "$requirements")"
    "$PYTHON" -c 'import pip' 2>/dev/null || "$base" -m venv --clear "$venv" || fail "cannot make $venv"
    "$PYTHON" -m pip install --quiet --disable-pip-version-check --no-input -r "$requirements" >"$STATE/pip.log" 2>&1 || {
        tail -n 20 "$STATE/pip.log" >&2
        fail "pip could not install $(basename "$requirements") (whole log: $STATE/pip.log)"
    }
    printf '%s\n' "$wanted" >"$stamp"
}

# install_promtool: sets PROMTOOL to Debian's, unpacked under .tallyman/ so that no Prometheus server is installed and
# started beside it; one on PATH is used as it is.
install_promtool() {
    local folder=$STATE/promtool
    PROMTOOL=$(command -v promtool || true)
    [ -z "$PROMTOOL" ] || return 0
    PROMTOOL=$folder/usr/bin/promtool
    [ ! -x "$PROMTOOL" ] || return 0
    say "unpacking promtool into .tallyman/promtool"
    rm -rf "$folder" && mkdir -p "$folder"
    unpack_promtool "$folder" >"$STATE/promtool.log" 2>&1 || {
        # The package lists may be missing or old.
        if [ "$(id -u)" = 0 ]; then apt-get update -qq; else sudo -n apt-get update -qq; fi
        unpack_promtool "$folder"
    } >>"$STATE/promtool.log" 2>&1 || {
        tail -n 5 "$STATE/promtool.log" >&2
        fail "promtool could not be unpacked (whole log: $STATE/promtool.log)"
    }
}

# unpack_promtool FOLDER: Debian's package prometheus, downloaded and laid out there without being installed.
unpack_promtool() {
    (cd "$1" && apt-get download -qq prometheus && dpkg-deb -x prometheus_*.deb . && rm -f prometheus_*.deb)
}
