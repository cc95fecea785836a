"""Scraps: the small pieces of memory that libnghttp2 asks for, kept for the next call.

    head  | room | what libnghttp2 writes ...           in use
    head  | room | next free piece of the room | ...    kept in free[room // STEP_BYTES - 1]

A call makes libnghttp2 ask for some ten pieces and give them back in another order, thousands of
calls later: malloc then spends more time on putting them together than the call takes otherwise.
Here a piece keeps its size, and whoever asks for one gets the one that was given back last.

The scraps of one loop are of its thread alone. Under AddressSanitizer nothing is kept, so that it
sees who uses what was given back.
"""
from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

cdef extern from *:
    """
    #ifdef __SANITIZE_ADDRESS__
    #define FENDAN_KEEPS 0
    #else
    #define FENDAN_KEEPS 1
    #endif
    """
    const bint KEEPS "FENDAN_KEEPS"


cdef void* give(size_t size, void* data) noexcept nogil:
    cdef Scraps* scraps = <Scraps*>data
    cdef size_t steps = max(<size_t>1, (size + STEP_BYTES - 1) // STEP_BYTES)
    cdef Scrap* head
    if steps > SIZES:
        head = <Scrap*>malloc(sizeof(Scrap) + size)
        if head == NULL:
            return NULL
        head.room = size
        return head + 1
    head = scraps.free[steps - 1]
    if head != NULL:
        scraps.free[steps - 1] = head[1].next
        scraps.kept_bytes -= head.room
        return head + 1
    head = <Scrap*>malloc(sizeof(Scrap) + steps * STEP_BYTES)
    if head == NULL:
        return NULL
    head.room = steps * STEP_BYTES
    return head + 1


cdef void take_back(void* piece, void* data) noexcept nogil:
    cdef Scraps* scraps = <Scraps*>data
    cdef Scrap* head = <Scrap*>piece - 1
    if piece == NULL:
        return
    if not KEEPS or head.room > SIZES * STEP_BYTES or scraps.kept_bytes >= MOST_KEPT_BYTES:
        free(head)
        return
    head[1].next = scraps.free[head.room // STEP_BYTES - 1]
    scraps.free[head.room // STEP_BYTES - 1] = head
    scraps.kept_bytes += head.room


cdef void* give_zeros(size_t count, size_t size, void* data) noexcept nogil:
    cdef void* piece
    if size and count > (<size_t>-1) // size:
        return NULL
    piece = give(count * size, data)
    if piece != NULL:
        memset(piece, 0, count * size)
    return piece


cdef void* give_other(void* piece, size_t size, void* data) noexcept nogil:
    """As realloc; what fits stays where it is."""
    cdef Scrap* head = <Scrap*>piece - 1
    cdef void* other
    if piece == NULL:
        return give(size, data)
    if size <= <size_t>head.room:
        return piece
    other = give(size, data)
    if other != NULL:
        memcpy(other, piece, head.room)
        take_back(piece, data)
    return other


cdef void scraps_begin(Scraps* scraps) noexcept nogil:
    memset(scraps, 0, sizeof(Scraps))
    scraps.memory.mem_user_data = scraps
    scraps.memory.malloc, scraps.memory.free = give, take_back
    scraps.memory.calloc, scraps.memory.realloc = give_zeros, give_other


cdef void scraps_end(Scraps* scraps) noexcept nogil:
    cdef Scrap* head
    cdef int place
    for place in range(SIZES):
        while scraps.free[place] != NULL:
            head = scraps.free[place]
            scraps.free[place] = head[1].next
            free(head)
    scraps.kept_bytes = 0
