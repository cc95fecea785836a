"""Streams: the open calls of all connections, and the memory they take."""
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from fendan.engine.timers cimport Timer

cdef enum MethodKind:
    ROUTE = 0                   # unary, and plain ones are gathered
    UNARY = 1
    STREAM = 2                  # messages both ways, answered in their order

cdef enum Stage:
    STAGE_HEADERS = 0           # they are being read
    STAGE_MESSAGES = 1          # messages are read, or waited for
    STAGE_DEAF = 2              # what else comes is of no interest
    STAGE_ENDED = 3             # the last word is said, though perhaps not sent

cdef enum TimerKind:
    CONNECTION_TIMER = 0
    STREAM_TIMER = 1

cdef enum:
    OTHER_METHOD = -1           # one that is not served here
    KEPT_BYTES = 1024           # room that a stream leaves to its successor
    SLAB_STREAMS = 256          # made at a time


# Bytes that came or are to go: those before `at` have gone their way.
cdef struct Bytes:
    uint8_t* data
    int64_t at
    int64_t size
    int64_t room


cdef struct Stream:
    Stream* next                # of its connection; or of those that are free
    Stream* previous
    void* connection            # the one that it is of, while it is open
    Timer timer                 # its deadline
    int64_t began_ns
    int64_t timeout_ns          # what its headers said
    int64_t deadline_ns         # 0: none
    int64_t header_bytes        # so much has come of them, counted as HTTP/2 does
    Bytes received
    Bytes outgoing
    int64_t unconsumed          # bytes for which the peer has no new window yet
    int64_t waiting_bytes       # of messages that wait for their answers
    int32_t waiting             # messages that do
    int32_t id
    int32_t references          # entries of turns that name it, and one while it is open
    int32_t method              # or OTHER_METHOD
    int32_t caller
    uint64_t allowed            # a bit for each method that the caller may call
    uint32_t last_size          # of the last words: their message
    uint32_t details_size       # and their details, in base64
    uint8_t* last_words         # where an ending has to wait for the answers before it
    uint8_t status              # how it ends, a gRPC status
    uint8_t kind
    uint8_t stage
    uint8_t wrong               # what is wrong with its headers: an index of endings, plus one
    bint is_post
    bint is_gone                # nobody waits for an answer any more; read by the engine's thread
    bint is_half_closed         # the client has said all
    bint is_allowed
    bint is_grpc
    bint has_authorization
    bint has_timeout
    bint has_encoding           # one other than identity
    bint has_begun              # its headers are sent
    bint is_deferred            # nothing to send for now: nghttp2 waits to be told
    bint is_finished            # after what is outgoing, the trailers


cdef extern from * nogil:
    """
    /* Written by the loop while the engine's thread looks; either answer is fine. */
    #define fendan_is_gone(stream) __atomic_load_n(&(stream)->is_gone, __ATOMIC_RELAXED)
    #define fendan_mark_gone(stream) __atomic_store_n(&(stream)->is_gone, 1, __ATOMIC_RELAXED)
    """
    bint is_gone "fendan_is_gone"(Stream* stream)
    void mark_gone "fendan_mark_gone"(Stream* stream)


cdef struct Pool:
    Stream* free
    void** slabs
    int64_t slab_count


cdef Stream* stream_take(Pool* pool) noexcept nogil
cdef void stream_release(Pool* pool, Stream* stream) noexcept nogil
cdef void pool_end(Pool* pool) noexcept nogil

cdef bint bytes_add(Bytes* bytes, const uint8_t* data, int64_t size) noexcept nogil
cdef bint bytes_reserve(Bytes* bytes, int64_t size) noexcept nogil
cdef void bytes_end(Bytes* bytes) noexcept nogil


cdef inline int64_t bytes_left(const Bytes* bytes) noexcept nogil:
    return bytes.size - bytes.at


cdef inline void bytes_take(Bytes* bytes, int64_t size) noexcept nogil:
    """So many more have gone their way."""
    bytes.at += size
    if bytes.at == bytes.size:
        bytes.at = bytes.size = 0
