#pragma once
#include <zlib.h>

// deflateInit2 and inflateInit2 are macros that Swift cannot call. Window bits 31 mean the gzip format (RFC 1952).
static inline int tally_deflate_init(z_stream *stream, int level) {
    return deflateInit2(stream, level, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY);
}
static inline int tally_inflate_init(z_stream *stream) { return inflateInit2(stream, 31); }
