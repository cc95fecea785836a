"""What gRPC adds to HTTP/2, byte by byte: no connection, no stream, no memory of its own."""
from libc.stdint cimport int64_t, uint8_t, uint32_t

cdef enum:
    PREFIX_BYTES = 5            # before each message: a flag, and its size (big endian)
    MOST_TIMEOUT_DIGITS = 8     # the protocol's
    ESCAPE_BYTES = 3            # of one byte of text, at most
    MOST_STATUS = 16            # the last of the statuses, which begin with 0

# A deadline so far away (about 146 years) that adding the time of day does not overflow.
cdef enum:
    FOREVER_NS = 0x4000000000000000

# What a prefix says.
cdef struct Prefix:
    uint8_t flag                # 0; 1: compressed; nothing else
    uint32_t size               # of the message that follows


# The nanoseconds of a grpc-timeout, at most FOREVER_NS; -1 where it is none.
cdef int64_t timeout_ns(const uint8_t* text, size_t size) noexcept nogil
cdef bint is_grpc(const uint8_t* content_type, size_t size) noexcept nogil
# How much of an authorization is before its token; 0 where it is not of this kind.
cdef size_t bearer_size(const uint8_t* text, size_t size) noexcept nogil
# Both write to `into` and say how much: at most ESCAPE_BYTES, or four for three, a byte of text.
cdef size_t percent_encoded(const uint8_t* text, size_t size, uint8_t* into) noexcept nogil
cdef size_t base64_encoded(const uint8_t* data, size_t size, uint8_t* into) noexcept nogil
# Whether a RouteRequest is one order and nothing else.
cdef bint is_plain(const uint8_t* data, size_t size) noexcept nogil
# Where the first field of a message ends, if it is field 1 and no longer than the message; or NULL.
cdef const uint8_t* first_order_end(const uint8_t* data, const uint8_t* end) noexcept nogil


cdef inline Prefix prefix_of(const uint8_t* at) noexcept nogil:
    cdef Prefix prefix
    prefix.flag = at[0]
    prefix.size = (<uint32_t>at[1] << 24 | <uint32_t>at[2] << 16
                   | <uint32_t>at[3] << 8 | <uint32_t>at[4])
    return prefix


cdef inline void put_prefix(uint8_t* into, uint32_t size) noexcept nogil:
    into[0] = 0
    into[1] = <uint8_t>(size >> 24)
    into[2] = <uint8_t>(size >> 16)
    into[3] = <uint8_t>(size >> 8)
    into[4] = <uint8_t>size
