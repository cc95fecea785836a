"""The fields of a protobuf message, from bytes and to bytes, as the protobuf runtimes do it.

A message is fields, one after the other, in any order:

    tag (varint: number << 3 | wire type) | value

The wire type says how long the value is, so that what is not known can be skipped. "As the
runtimes do it" is meant to the letter, and tested so: what they accept is accepted, with the same
content; what they refuse is refused.
"""
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from fendan.engine.fault import Fault
from fendan.errors import refuse

cdef enum:
    HIGH_BITS = 0x8080808080808080  # of eight bytes; none is set in ASCII


cdef bint read_long(Reader* reader, uint64_t* value, int most_bytes) noexcept nogil:
    """A varint of several bytes. Bits beyond the 64th are dropped, padding is fine."""
    cdef uint64_t result = 0
    cdef int place
    for place in range(most_bytes):
        if reader.at + place == reader.end:
            return fail(reader, b"cut off")
        result |= <uint64_t>(reader.at[place] & 0x7f) << (7 * place)
        if reader.at[place] < 0x80:
            value[0] = result
            reader.at += place + 1
            return True
    return fail(reader, b"a varint that does not end")


cdef bint skip_group(Reader* reader, uint32_t number) noexcept nogil:
    """Read on past the end of a group, whose start was just read."""
    cdef uint32_t open_groups[MAX_DEPTH]
    cdef int32_t depth = 0
    cdef Field field
    if reader.depth < 1:
        return fail(reader, b"nested too deeply")
    open_groups[0] = number
    while depth >= 0:
        if reader.at == reader.end:
            return fail(reader, b"a group without an end")
        if not read_short(reader, &field.tag):
            return False
        if field.tag & 7 == END_GROUP:
            if field.tag >> 3 != open_groups[depth]:
                return fail(reader, b"the end of another group")
            depth -= 1
        elif field.tag & 7 == START_GROUP:
            depth += 1
            if depth >= reader.depth:
                return fail(reader, b"nested too deeply")
            open_groups[depth] = field.tag >> 3
        elif not read_value(reader, &field):
            return False
    return True


cdef bint is_utf8(const uint8_t* at, const uint8_t* end) noexcept nogil:
    """Well-formed as Unicode has it: nothing overlong, no surrogates, nothing above U+10FFFF."""
    cdef uint64_t eight
    cdef int more, other        # bytes after the first; those of them after the second
    cdef uint8_t low, high      # what the second byte may be
    while at < end:
        while end - at >= 8:
            memcpy(&eight, at, 8)
            if eight & HIGH_BITS:
                break
            at += 8
        if at == end:
            return True
        low, high = 0x80, 0xbf
        if at[0] < 0x80:
            at += 1
            continue
        if at[0] < 0xc2 or at[0] > 0xf4:
            return False
        if at[0] < 0xe0:
            more = 1
        elif at[0] < 0xf0:
            more = 2
            if at[0] == 0xe0:
                low = 0xa0
            elif at[0] == 0xed:
                high = 0x9f
        else:
            more = 3
            if at[0] == 0xf0:
                low = 0x90
            elif at[0] == 0xf4:
                high = 0x8f
        if end - at <= more or not low <= at[1] <= high:
            return False
        at += 2
        for other in range(more - 1):
            if at[0] & 0xc0 != 0x80:
                return False
            at += 1
    return True


cdef int check(const Reader* reader, const uint8_t* start) except -1:
    """Say what is wrong, and where in the message."""
    if reader.wrong != NULL:
        refuse(Fault.BAD_MESSAGE, "message", reader.wrong.decode(),
               hint=f"byte {reader.at - start}")
    return 0
