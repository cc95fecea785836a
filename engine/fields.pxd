"""The fields of a protobuf message: read one by one, skipped, written."""
from libc.stdint cimport UINT32_MAX, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from fendan.engine.names cimport Span

cdef extern from *:
    """
    #if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
    #error "fields.pxd copies fixed64 as it stands on the wire: little-endian"
    #endif
    """

cdef enum WireType:
    VARINT = 0
    FIXED64 = 1
    LENGTH = 2                  # text and messages
    START_GROUP = 3
    END_GROUP = 4
    FIXED32 = 5

cdef enum:
    MAX_DEPTH = 100             # messages and groups in one another, as the protobuf runtimes
    MAX_MESSAGE_BYTES = 0x7ffffffe
    SHORT_BYTES = 5             # tags and lengths are no longer than this, even padded
    LONG_BYTES = 10


# What is still to be read of a message.
cdef struct Reader:
    const uint8_t* at
    const uint8_t* end
    int32_t depth               # how many levels may still come
    const char* wrong           # what is malformed at `at`, or NULL


# One field, whole.
cdef struct Field:
    uint32_t tag                # number << 3 | WireType
    uint64_t bits               # of a varint or a fixed
    Span span                   # of a LENGTH


cdef bint read_long(Reader* reader, uint64_t* value, int most_bytes) noexcept nogil
cdef bint skip_group(Reader* reader, uint32_t number) noexcept nogil
cdef bint is_utf8(const uint8_t* at, const uint8_t* end) noexcept nogil

# Raises MalformedMessageError where there is something wrong.
cdef int check(const Reader* reader, const uint8_t* start) except -1


# -- READING -----------------------------------------------------------------------------------

cdef inline Reader reader_of(Span message) noexcept nogil:
    cdef Reader reader
    reader.at = <const uint8_t*>message.text
    reader.end = reader.at + message.size
    reader.depth = MAX_DEPTH
    reader.wrong = NULL
    return reader


cdef inline Reader within(const Reader* outer, const Field* field) noexcept nogil:
    """The message in a field of LENGTH. Those we know are never too deep for MAX_DEPTH."""
    cdef Reader reader = reader_of(field.span)
    reader.depth = outer.depth - 1
    return reader


cdef inline bint fail(Reader* reader, const char* wrong) noexcept nogil:
    reader.wrong = wrong
    return False


cdef inline bint passed(Reader* outer, const Reader* inner) noexcept nogil:
    """Whether nothing is wrong within; what is, the outer one says from here on."""
    if inner.wrong != NULL:
        outer.at, outer.wrong = inner.at, inner.wrong
    return inner.wrong == NULL


cdef inline bint read_varint(Reader* reader, uint64_t* value) noexcept nogil:
    if reader.at < reader.end and reader.at[0] < 0x80:
        value[0] = reader.at[0]
        reader.at += 1
        return True
    return read_long(reader, value, LONG_BYTES)


cdef inline bint read_short(Reader* reader, uint32_t* value) noexcept nogil:
    """A tag or a length."""
    cdef uint64_t wide
    if reader.at < reader.end and reader.at[0] < 0x80:
        value[0] = reader.at[0]
        reader.at += 1
        return True
    if not read_long(reader, &wide, SHORT_BYTES):
        return False
    if wide > UINT32_MAX:
        return fail(reader, b"a tag or a length of more than 32 bits")
    value[0] = <uint32_t>wide
    return True


cdef inline bint read_value(Reader* reader, Field* field) noexcept nogil:
    """What follows `field.tag`."""
    cdef uint32_t wire_type = field.tag & 7, size
    if wire_type == LENGTH:
        if not read_short(reader, &size):
            return False
        if size > reader.end - reader.at:
            return fail(reader, b"a length that leads past the end")
        field.span.text = <const char*>reader.at
        field.span.size = size
        reader.at += size
        return True
    if wire_type == VARINT:
        return read_varint(reader, &field.bits)
    if wire_type == FIXED64 or wire_type == FIXED32:
        size = 8 if wire_type == FIXED64 else 4
        if size > reader.end - reader.at:
            return fail(reader, b"cut off")
        field.bits = 0
        memcpy(&field.bits, reader.at, size)
        reader.at += size
        return True
    if wire_type == START_GROUP:
        return skip_group(reader, field.tag >> 3)
    return fail(reader, b"the end of a group that never began" if wire_type == END_GROUP
                else b"a wire type that does not exist")


cdef inline bint next_field(Reader* reader, Field* field) noexcept nogil:
    """Read one field with its value; False at the end, and where something is wrong.

    What the caller does not know by its tag is thereby skipped: other numbers, and known numbers
    with another wire type.
    """
    if reader.at == reader.end or not read_short(reader, &field.tag):
        return False
    if field.tag >> 3 == 0:
        return fail(reader, b"field number 0")
    return read_value(reader, field)


cdef inline bint check_text(Reader* reader, Span text) noexcept nogil:
    """Whether it is UTF-8, as the type `string` demands."""
    cdef const uint8_t* at = <const uint8_t*>text.text
    if is_utf8(at, at + text.size):
        return True
    reader.at = at
    return fail(reader, b"text that is not UTF-8")


cdef inline double as_double(uint64_t bits) noexcept nogil:
    cdef double value
    memcpy(&value, &bits, sizeof(value))
    return value


# -- WRITING -----------------------------------------------------------------------------------

# Room is the caller's to make: a tag below 16 takes one byte, a varint up to LONG_BYTES.

cdef inline int64_t varint_size(uint64_t value) noexcept nogil:
    cdef int64_t size = 1
    while value >= 0x80:
        value >>= 7
        size += 1
    return size


cdef inline uint8_t* put_varint(uint8_t* at, uint64_t value) noexcept nogil:
    while value >= 0x80:
        at[0] = <uint8_t>(value | 0x80)
        value >>= 7
        at += 1
    at[0] = <uint8_t>value
    return at + 1


cdef inline uint8_t* put_number(uint8_t* at, uint8_t tag, uint64_t value) noexcept nogil:
    at[0] = tag
    return put_varint(at + 1, value)


cdef inline uint8_t* put_double(uint8_t* at, uint8_t tag, double value) noexcept nogil:
    at[0] = tag
    memcpy(at + 1, &value, sizeof(value))
    return at + 1 + sizeof(value)


cdef inline uint8_t* put_text(uint8_t* at, uint8_t tag, Span text) noexcept nogil:
    at = put_number(at, tag, text.size)
    memcpy(at, text.text, text.size)
    return at + text.size


cdef inline bint is_zero(double value) noexcept nogil:
    """Whether it is left out: minus zero is not."""
    cdef uint64_t bits
    memcpy(&bits, &value, sizeof(bits))
    return bits == 0
