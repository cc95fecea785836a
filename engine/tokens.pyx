"""Bearer tokens, of which only the SHA-256 is known.

What is looked up is a digest, so how long it takes says nothing of a token; and yet the last word
is a comparison in constant time.
"""
from libc.stdint cimport int32_t, uint8_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy

cdef extern from "<openssl/crypto.h>" nogil:
    int CRYPTO_memcmp(const void* one, const void* other, size_t size)

cdef extern from "<openssl/sha.h>" nogil:
    unsigned char* SHA256(const unsigned char* data, size_t size, unsigned char* into)


cdef int tokens_begin(Tokens* tokens, rows) except -1:
    """`rows` are pairs of a digest and a mask of methods; None: nobody is asked for a token."""
    cdef int32_t place
    tokens.rows, tokens.count, tokens.are_asked_for = NULL, 0, rows is not None
    if not rows:
        return 0
    known = sorted((bytes(digest), mask, index) for index, (digest, mask) in enumerate(rows))
    if any(len(digest) != DIGEST_BYTES for digest, _mask, _index in known):
        raise ValueError(f"a SHA-256 has {DIGEST_BYTES} bytes")
    tokens.rows = <Token*>malloc(len(known) * sizeof(Token))
    if tokens.rows == NULL:
        raise MemoryError
    for place, (digest, mask, index) in enumerate(known):
        memcpy(tokens.rows[place].digest, <const uint8_t*><bytes>digest, DIGEST_BYTES)
        tokens.rows[place].methods = <uint64_t>(mask & 0xffffffffffffffff)
        tokens.rows[place].index = index
    tokens.count = <int32_t>len(known)
    return 0


cdef void tokens_end(Tokens* tokens) noexcept nogil:
    free(tokens.rows)
    tokens.rows, tokens.count = NULL, 0


cdef const Token* token_find(const Tokens* tokens, const uint8_t* text, size_t size) noexcept nogil:
    """The token with this text; NULL: there is none."""
    cdef uint8_t digest[DIGEST_BYTES]
    cdef int32_t low = 0, high = tokens.count, middle
    SHA256(text, size, digest)
    while low < high:
        middle = (low + high) // 2
        if memcmp(tokens.rows[middle].digest, digest, DIGEST_BYTES) < 0:
            low = middle + 1
        else:
            high = middle
    if low == tokens.count or CRYPTO_memcmp(tokens.rows[low].digest, digest, DIGEST_BYTES):
        return NULL
    return &tokens.rows[low]
