"""Scraps: the small pieces of memory that libnghttp2 asks for, kept for the next call."""
from libc.stdint cimport int64_t

from fendan.engine.nghttp2 cimport nghttp2_mem

cdef enum:
    # A call takes some ten pieces of up to 400 bytes; what is larger is rare.
    STEP_BYTES = 64
    SIZES = 8
    # Of what lies about, no more is kept: what some 10,000 calls take.
    MOST_KEPT_BYTES = 16_777_216


# A piece that nobody uses, or, before one in use, how large it is; as aligned as malloc's.
cdef union Scrap:
    int64_t room
    Scrap* next
    char aligned[16]


cdef struct Scraps:
    nghttp2_mem memory          # what libnghttp2 is given
    Scrap* free[SIZES]          # behind the heads of pieces that nobody uses
    int64_t kept_bytes          # of those


cdef void scraps_begin(Scraps* scraps) noexcept nogil
# Nobody uses any piece any more.
cdef void scraps_end(Scraps* scraps) noexcept nogil
