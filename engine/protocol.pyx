"""What gRPC adds to HTTP/2: the texts of its headers, and messages with their prefixes.

    HEADERS   :path, content-type, grpc-timeout, authorization ...
    DATA      | flag | size, 4 bytes | message | flag | size | message | ...     cut anywhere
    HEADERS   grpc-status, grpc-message (percent-encoded), grpc-status-details-bin (base64)

Every function is pure; a slow twin in Python judges each.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t

from fendan.engine.fields cimport Reader, read_short

cdef enum:
    ORDER_TAG = 0x0a            # field 1 of wire type LENGTH: an order, or its decision

cdef const char* DIGITS = b"0123456789ABCDEF"
cdef const char* BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


cdef inline uint8_t lower(uint8_t letter) noexcept nogil:
    return letter | 0x20 if 65 <= letter <= 90 else letter


cdef bint begins(const uint8_t* text, size_t size, const char* words, size_t count) noexcept nogil:
    """Whether it begins so, in letters of any case; the words are small ones."""
    cdef size_t place
    if size < count:
        return False
    for place in range(count):
        if lower(text[place]) != <uint8_t>words[place]:
            return False
    return True


# -- HEADERS -----------------------------------------------------------------------------------

cdef int64_t timeout_ns(const uint8_t* text, size_t size) noexcept nogil:
    cdef int64_t count = 0, unit_ns
    cdef size_t place
    if not 2 <= size <= MOST_TIMEOUT_DIGITS + 1:
        return -1
    for place in range(size - 1):
        if not 48 <= text[place] <= 57:
            return -1
        count = 10 * count + text[place] - 48
    if text[size - 1] == c"n":
        unit_ns = 1
    elif text[size - 1] == c"u":
        unit_ns = 1_000
    elif text[size - 1] == c"m":
        unit_ns = 1_000_000
    elif text[size - 1] == c"S":
        unit_ns = 1_000_000_000
    elif text[size - 1] == c"M":
        unit_ns = 60_000_000_000
    elif text[size - 1] == c"H":
        unit_ns = 3_600_000_000_000
    else:
        return -1
    return FOREVER_NS if count > FOREVER_NS / unit_ns else count * unit_ns


cdef bint is_grpc(const uint8_t* content_type, size_t size) noexcept nogil:
    """application/grpc or application/grpc+proto, with or without parameters."""
    cdef size_t known = 16
    if not begins(content_type, size, b"application/grpc", known):
        return False
    if begins(content_type + known, size - known, b"+proto", 6):
        known += 6
    return size == known or content_type[known] == c";" or content_type[known] == c" "


cdef size_t bearer_size(const uint8_t* text, size_t size) noexcept nogil:
    """One word, one blank, and the token, in which there is none."""
    cdef size_t place
    if not begins(text, size, b"bearer ", 7):
        return 0
    for place in range(7, size):
        if text[place] == c" ":
            return 0
    return 7


# -- TRAILERS ----------------------------------------------------------------------------------

cdef size_t percent_encoded(const uint8_t* text, size_t size, uint8_t* into) noexcept nogil:
    """What a header can hold stands for itself, but for the percent sign."""
    cdef size_t place, made = 0
    for place in range(size):
        if 0x20 <= text[place] <= 0x7e and text[place] != c"%":
            into[made] = text[place]
            made += 1
        else:
            into[made] = c"%"
            into[made + 1] = <uint8_t>DIGITS[text[place] >> 4]
            into[made + 2] = <uint8_t>DIGITS[text[place] & 15]
            made += ESCAPE_BYTES
    return made


cdef size_t base64_encoded(const uint8_t* data, size_t size, uint8_t* into) noexcept nogil:
    """Without padding, as the protocol prefers it."""
    cdef size_t place, sign, made = 0
    cdef uint32_t bits
    for place in range(0, size, 3):
        bits = <uint32_t>data[place] << 16
        if place + 1 < size:
            bits |= <uint32_t>data[place + 1] << 8
        if place + 2 < size:
            bits |= data[place + 2]
        for sign in range(min(<size_t>4, size - place + 1)):
            into[made] = <uint8_t>BASE64[bits >> (18 - 6 * sign) & 63]
            made += 1
    return made


# -- MESSAGES ----------------------------------------------------------------------------------

cdef const uint8_t* first_order_end(const uint8_t* data, const uint8_t* end) noexcept nogil:
    cdef Reader reader
    cdef uint32_t size
    if data == end or data[0] != ORDER_TAG:
        return NULL
    reader.at, reader.end, reader.wrong = data + 1, end, NULL
    if not read_short(&reader, &size) or size > reader.end - reader.at:
        return NULL
    return reader.at + size


cdef bint is_plain(const uint8_t* data, size_t size) noexcept nogil:
    return size > 0 and first_order_end(data, data + size) == data + size


# -- FOR THE TESTS -----------------------------------------------------------------------------

def read_timeout(const uint8_t[::1] text not None):
    """The nanoseconds of a grpc-timeout; None where it is none."""
    cdef int64_t found = timeout_ns(&text[0], text.shape[0]) if text.shape[0] else -1
    return None if found < 0 else found


def speaks_grpc(const uint8_t[::1] content_type not None):
    """Whether this content type is gRPC's, with protobuf messages."""
    return content_type.shape[0] > 0 and is_grpc(&content_type[0], content_type.shape[0])


def token_of(bytes authorization not None):
    """The token in it; None where it is no word Bearer and one token."""
    cdef size_t before = bearer_size(authorization, len(authorization))
    return authorization[before:] if before else None


def percent_encode(bytes text not None):
    """As a grpc-message is sent."""
    made = bytearray(ESCAPE_BYTES * len(text) + 1)
    cdef uint8_t[::1] into = made
    return bytes(made[:percent_encoded(text, len(text), &into[0])])


def base64_encode(bytes data not None):
    """As a header whose name ends in -bin is sent."""
    made = bytearray(4 * (len(data) // 3 + 1))
    cdef uint8_t[::1] into = made
    return bytes(made[:base64_encoded(data, len(data), &into[0])])


def is_one_order(bytes request not None):
    """Whether a RouteRequest is an order and nothing else, so that it can be routed with others."""
    return is_plain(request, len(request))
