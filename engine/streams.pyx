"""Streams: the open calls of all connections, in slabs, used again and again.

A stream is free, or has references: one of its connection while it is open, and one of each entry
of a turn that is to answer it. So whoever answers finds it, though the client may have gone.
Only the loop's thread counts them.
"""
from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memmove, memset

from fendan.engine.room cimport grow

cdef enum:
    FIRST_BYTES = 128


cdef bint add_slab(Pool* pool) noexcept nogil:
    cdef Stream* slab
    cdef int place
    if not grow(<void**>&pool.slabs, (pool.slab_count + 1) * sizeof(void*)):
        return False
    slab = <Stream*>calloc(SLAB_STREAMS, sizeof(Stream))
    if slab == NULL:
        return False
    pool.slabs[pool.slab_count] = slab
    pool.slab_count += 1
    for place in range(SLAB_STREAMS):
        slab[place].next = pool.free
        pool.free = &slab[place]
    return True


cdef Stream* stream_take(Pool* pool) noexcept nogil:
    """A stream with one reference and nothing known of it; NULL: no memory."""
    cdef Stream* stream = pool.free
    cdef Bytes received, outgoing
    if stream == NULL:
        if not add_slab(pool):
            return NULL
        stream = pool.free
    pool.free = stream.next
    received, outgoing = stream.received, stream.outgoing
    memset(stream, 0, sizeof(Stream))
    stream.received, stream.outgoing = received, outgoing
    stream.references = 1
    stream.method = OTHER_METHOD
    stream.timer.owner, stream.timer.kind = stream, STREAM_TIMER
    return stream


cdef void forget(Bytes* bytes) noexcept nogil:
    bytes.at = bytes.size = 0
    if bytes.room > KEPT_BYTES:
        bytes_end(bytes)


cdef void stream_release(Pool* pool, Stream* stream) noexcept nogil:
    """One reference less."""
    stream.references -= 1
    if stream.references:
        return
    forget(&stream.received)
    forget(&stream.outgoing)
    free(stream.last_words)
    stream.last_words = NULL
    stream.next = pool.free
    pool.free = stream


cdef void pool_end(Pool* pool) noexcept nogil:
    """Give back all streams, open or not."""
    cdef Stream* slab
    cdef int64_t number
    cdef int place
    for number in range(pool.slab_count):
        slab = <Stream*>pool.slabs[number]
        for place in range(SLAB_STREAMS):
            bytes_end(&slab[place].received)
            bytes_end(&slab[place].outgoing)
            free(slab[place].last_words)
        free(slab)
    free(pool.slabs)
    pool.slabs, pool.free, pool.slab_count = NULL, NULL, 0


# -- BYTES -------------------------------------------------------------------------------------

cdef bint bytes_add(Bytes* bytes, const uint8_t* data, int64_t size) noexcept nogil:
    """Append; False, with nothing changed: no memory."""
    if not bytes_reserve(bytes, size):
        return False
    if size:
        memcpy(bytes.data + bytes.size, data, size)
        bytes.size += size
    return True


cdef bint bytes_reserve(Bytes* bytes, int64_t size) noexcept nogil:
    """Have room for so many more; False, with nothing changed: no memory."""
    cdef int64_t room
    if bytes.size + size <= bytes.room:
        return True
    if 2 * bytes.at > bytes.size:  # so that no byte is moved twice without as many having gone
        bytes.size -= bytes.at
        memmove(bytes.data, bytes.data + bytes.at, bytes.size)
        bytes.at = 0
    if bytes.size + size > bytes.room:
        room = max(<int64_t>FIRST_BYTES, bytes.size + size, 2 * bytes.room)
        if not grow(<void**>&bytes.data, room):
            return False
        bytes.room = room
    return True


cdef void bytes_end(Bytes* bytes) noexcept nogil:
    free(bytes.data)
    memset(bytes, 0, sizeof(Bytes))
