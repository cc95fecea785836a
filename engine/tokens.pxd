"""Bearer tokens: who calls, and what they may."""
from libc.stdint cimport int32_t, uint8_t, uint64_t

cdef enum:
    DIGEST_BYTES = 32           # of SHA-256


cdef struct Token:
    uint8_t digest[DIGEST_BYTES]
    uint64_t methods            # a bit each
    int32_t index               # by which Python knows it


cdef struct Tokens:
    Token* rows                 # sorted by their digests
    int32_t count
    bint are_asked_for          # if not, everyone may do everything


cdef int tokens_begin(Tokens* tokens, rows) except -1
cdef void tokens_end(Tokens* tokens) noexcept nogil
cdef const Token* token_find(const Tokens* tokens, const uint8_t* text, size_t size) noexcept nogil
