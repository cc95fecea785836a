"""Names as the core reads them: UTF-8 text, found by hash."""
cimport cython
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

cdef enum:
    NO_NAME = -1                # a code


# A piece of text that someone else owns: an id in a message, or in a Python str.
cdef struct Span:
    const char* text
    int64_t size                # in bytes


# Text -> code; owned by a Names, drawn in names.pyx.
cdef struct NameTable:
    uint64_t* slots             # [mask + 1]
    uint64_t mask
    int64_t* ends               # [count], in `text`
    char* text
    int32_t count


cdef uint32_t hash_of(Span name) noexcept nogil
cdef int32_t find_name(const NameTable* table, Span name) noexcept nogil
# As `find_name` for many, of which several are on their way from memory at a time.
cdef void find_names(const NameTable* table, const Span* names, int64_t count,
                     int32_t* codes) noexcept nogil
cdef Span name_in(const NameTable* table, int32_t code) noexcept nogil
cdef inline void enter(uint64_t* slots, uint64_t mask, uint64_t slot) noexcept nogil:
    """Put a slot, with its hash in the upper 32 bits, in the first free place from its own on."""
    cdef uint64_t place = (slot >> 32) & mask
    while slots[place]:
        place = (place + 1) & mask
    slots[place] = slot

cdef uint64_t* larger_slots(const uint64_t* slots, uint64_t mask, uint64_t count) noexcept nogil
cdef int span_of(object name, Span* span) except -1


@cython.final
cdef class Names:
    cdef NameTable table
    cdef int64_t _capacity      # of table.ends
    cdef int64_t _text_capacity

    cdef int _reserve(self, int64_t count, int64_t text_size) except -1
