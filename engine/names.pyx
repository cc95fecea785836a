"""Ids and the codes they were given, for code that holds no Python object.

A name's code is its place in the order of arrival. The table is open addressing with linear
probing, at most half full; a slot carries half of the hash, so that another name is nearly always
told apart without reading its text:

    slots[hash & mask]   hash (32 bits) | code + 1 (32 bits)       0: empty
    text                 all names, one after the other; name i ends at ends[i]

Hashes are CPython's own keyed SipHash: whoever chooses the ids cannot choose where they collide.
The key differs from run to run, which no decision can tell: codes follow the order of arrival.
"""
cimport cython
from cpython.object cimport PyObject_Hash
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcmp, memcpy

import numpy as np

from fendan.engine.room cimport prefetch

cdef extern from *:
    """
    #if PY_VERSION_HEX >= 0x030e0000
    #define fendan_hash_bytes(text, size) Py_HashBuffer((text), (size))
    #else
    #define fendan_hash_bytes(text, size) _Py_HashBytes((text), (size))
    #endif
    """
    long long hash_bytes "fendan_hash_bytes"(const void* text, Py_ssize_t size) noexcept nogil

cdef enum:
    LEAST_SLOTS = 64            # a power of two
    AT_ONCE = 16                # names whose slots and texts are on their way from memory together


cdef uint32_t hash_of(Span name) noexcept nogil:
    return <uint32_t>hash_bytes(name.text, name.size)


cdef Span name_in(const NameTable* table, int32_t code) noexcept nogil:
    cdef Span name
    cdef int64_t start = table.ends[code - 1] if code else 0
    name.text = table.text + start
    name.size = table.ends[code] - start
    return name


cdef int32_t find_name(const NameTable* table, Span name) noexcept nogil:
    """The code of a name, or NO_NAME."""
    return find_hashed(table, name, hash_of(name)) if table.slots != NULL else NO_NAME


cdef int32_t find_hashed(const NameTable* table, Span name, uint64_t wanted) noexcept nogil:
    """As `find_name`, of a name whose hash is known, in a table that has names."""
    cdef uint64_t place = wanted & table.mask, slot
    cdef Span known
    while True:
        slot = table.slots[place]
        if slot == 0:
            return NO_NAME
        if slot >> 32 == wanted:
            known = name_in(table, <int32_t>(<uint32_t>slot - 1))
            if known.size == name.size and memcmp(known.text, name.text, name.size) == 0:
                return <int32_t>(<uint32_t>slot - 1)
        place = (place + 1) & table.mask


cdef void prefetch_name(const NameTable* table, uint64_t wanted) noexcept nogil:
    """Have the name in the first slot of a hash brought from memory, if there is one."""
    cdef uint64_t slot = table.slots[wanted & table.mask]
    cdef int32_t code = <int32_t>(<uint32_t>slot - 1)
    if slot and slot >> 32 == wanted:  # "" has hash 0, as an empty slot seems to have
        prefetch(table.text + (table.ends[code - 1] if code else 0))


cdef void find_names(const NameTable* table, const Span* names, int64_t count,
                     int32_t* codes) noexcept nogil:
    cdef uint32_t[AT_ONCE] own_hashes
    cdef int64_t first = 0, place, some
    while first < count:
        some = min(<int64_t>AT_ONCE, count - first)
        for place in range(some):
            codes[first + place] = NO_NAME
            own_hashes[place] = hash_of(names[first + place])
            if table.slots != NULL:
                prefetch(&table.slots[own_hashes[place] & table.mask])
        for place in range(some if table.slots != NULL else 0):
            prefetch_name(table, own_hashes[place])
        for place in range(some if table.slots != NULL else 0):
            codes[first + place] = find_hashed(table, names[first + place], own_hashes[place])
        first += some


cdef uint64_t* larger_slots(const uint64_t* slots, uint64_t mask, uint64_t count) noexcept nogil:
    """A table of `count` slots with what is in `slots`, which may be NULL; NULL without room."""
    cdef uint64_t* larger = <uint64_t*>calloc(count, sizeof(uint64_t))
    cdef uint64_t place
    if larger != NULL and slots != NULL:
        for place in range(mask + 1):
            if slots[place]:
                enter(larger, count - 1, slots[place])
    return larger


cdef int span_of(object name, Span* span) except -1:
    """Point into a str, which must outlive the span."""
    cdef Py_ssize_t size
    span.text = PyUnicode_AsUTF8AndSize(name, &size)
    span.size = size
    return 0


cdef int readable_span(object text, Span* span) except -1:
    """As `span_of`; what cannot be written as UTF-8 is no name, and nor is no text at all."""
    try:
        return span_of(text, span)
    except UnicodeEncodeError:  # half a surrogate pair
        span.text, span.size = NULL, 0
    return 0


cdef bint is_empty(Span text) noexcept nogil:
    """Whether it is "", and not one that could not be read."""
    return text.size == 0 and text.text != NULL


def hashes(list texts):
    """A hash of each text, int64[n], as `hash` gives it: by a key of this run, and of "" 0."""
    found = np.empty(len(texts), dtype=np.int64)
    cdef int64_t[::1] out = found
    cdef Py_ssize_t row
    for row in range(len(texts)):
        out[row] = PyObject_Hash(texts[row])
    return found


@cython.final
cdef class Names:
    """A mapping from str to code, to which names are only ever added."""

    def __dealloc__(self):
        free(self.table.slots)
        free(self.table.ends)
        free(self.table.text)

    def __len__(self):
        return self.table.count

    def __contains__(self, name):
        return self.get(name) is not None

    def __getitem__(self, name):
        code = self.get(name)
        if code is None:
            raise KeyError(name)
        return code

    def get(self, name):
        """The code of a name, or None where it is not known, or is no name."""
        cdef Span span
        cdef int32_t code
        if not isinstance(name, str):
            return None
        try:
            span_of(name, &span)
        except UnicodeEncodeError:  # half a surrogate pair
            return None
        code = find_name(&self.table, span)
        return None if code == NO_NAME else code

    def codes(self, list texts, int64_t otherwise, int64_t empty):
        """The code of each text, int64[n]; `empty` for "", `otherwise` for what else is no name.

        Raises TypeError for what is no str.
        """
        cdef const NameTable* table = &self.table
        cdef Span[AT_ONCE] spans
        cdef uint32_t[AT_ONCE] own_hashes
        cdef Py_ssize_t count = len(texts), first, place
        cdef int32_t code
        found = np.full(count, otherwise, dtype=np.int64)
        cdef int64_t[::1] out = found
        if table.count == 0:
            for place in range(count):
                readable_span(texts[place], &spans[0])
                out[place] = empty if is_empty(spans[0]) else otherwise
            return found
        for first in range(0, count, AT_ONCE):
            for place in range(min(AT_ONCE, count - first)):
                readable_span(texts[first + place], &spans[place])
                own_hashes[place] = hash_of(spans[place])
                prefetch(&table.slots[own_hashes[place] & table.mask])
            for place in range(min(AT_ONCE, count - first)):
                prefetch_name(table, own_hashes[place])
            for place in range(min(AT_ONCE, count - first)):
                if is_empty(spans[place]):
                    out[first + place] = empty
                    continue
                code = find_hashed(table, spans[place], own_hashes[place])
                if code != NO_NAME:
                    out[first + place] = code
        return found

    def extend(self, list names):
        """Give new and distinct names, str, the next codes. All or nothing."""
        cdef NameTable* table = &self.table
        cdef Span span
        cdef int64_t text_size = 0
        for name in names:
            span_of(name, &span)
            text_size += span.size
        self._reserve(table.count + <int64_t>len(names), text_size)
        for name in names:
            span_of(name, &span)
            text_size = table.ends[table.count - 1] if table.count else 0
            memcpy(table.text + text_size, span.text, span.size)
            table.ends[table.count] = text_size + span.size
            table.count += 1
            enter(table.slots, table.mask,
                  <uint64_t>hash_of(span) << 32 | <uint64_t>table.count)

    cdef int _reserve(self, int64_t count, int64_t more_text) except -1:
        """Make room for names up to `count` of them, with so many more bytes of text."""
        cdef NameTable* table = &self.table
        cdef int64_t text_size = table.ends[table.count - 1] if table.count else 0
        cdef uint64_t slot_count = LEAST_SLOTS
        cdef uint64_t* slots
        cdef int64_t capacity
        if count > self._capacity:
            capacity = max(count, 2 * self._capacity)
            table.ends = <int64_t*>larger(table.ends, capacity * sizeof(int64_t))
            self._capacity = capacity
        if table.text == NULL or text_size + more_text > self._text_capacity:
            capacity = max(max(text_size + more_text, 2 * self._text_capacity), 1)
            table.text = <char*>larger(table.text, capacity)
            self._text_capacity = capacity
        while slot_count < <uint64_t>(2 * count):
            slot_count *= 2
        if table.slots != NULL and slot_count <= table.mask + 1:
            return 0
        slots = larger_slots(table.slots, table.mask, slot_count)
        if slots == NULL:
            raise MemoryError("no room for more names")
        free(table.slots)
        table.slots = slots
        table.mask = slot_count - 1
        return 0


cdef void* larger(void* block, size_t size) except NULL:
    """`block` with room for `size` bytes; as it was where there is no room."""
    cdef void* moved = realloc(block, size or 1)
    if moved == NULL:
        raise MemoryError("no room for more names")
    return moved
