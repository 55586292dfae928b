# The release build, as the image holds it: the Swift runtime linked in. Sourced after say.sh.
# shellcheck shell=bash

# BENCH_BUILD names another build folder, for a machine that keeps one.
BENCH_BUILD=${BENCH_BUILD:-$ROOT/.build}
RELEASE=$BENCH_BUILD/release

# build_release PRODUCT: builds it and prints its path.
build_release() {
    (cd "$ROOT" && swift build -c release --static-swift-stdlib --scratch-path "$BENCH_BUILD" --product "$1" >&2) ||
        fail "$1 does not build"
    printf '%s/%s\n' "$RELEASE" "$1"
}
