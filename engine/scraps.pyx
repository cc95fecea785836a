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
    cdef Scrap* head = scraps.free[steps - 1] if steps <= SIZES else NULL
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
    cdef Scrap* head
    if piece == NULL:
        return
    head = <Scrap*>piece - 1
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
    cdef Scrap* head
    cdef void* other
    if piece == NULL:
        return give(size, data)
    head = <Scrap*>piece - 1
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


# -- FOR THE TESTS -----------------------------------------------------------------------------

def run(list steps not None):
    """What pieces, numbered from 0, hold when they are given back; and how many bytes are kept.

    `steps` are tuples: ("give", piece, bytes), ("zeros", piece, bytes), ("resize", piece, bytes) or
    ("back", piece). A piece is written full of its number when it is given, or grows.
    """
    cdef Scraps scraps
    cdef char* piece
    scraps_begin(&scraps)
    pieces, held = {}, []
    try:
        for what, number, *rest in steps:
            at, size = pieces.pop(number, (0, 0))
            piece = <char*><size_t>at
            if what == "back":
                held.append(piece[:size])
                take_back(piece, &scraps)
                continue
            if what == "zeros":
                piece = <char*>give_zeros(rest[0], 1, &scraps)
            elif what == "give":
                piece = <char*>give(rest[0], &scraps)
                memset(piece, number, rest[0])
            else:
                piece = <char*>give_other(piece, rest[0], &scraps)
                memset(piece + <size_t>min(size, rest[0]), number, rest[0] - min(size, rest[0]))
            pieces[number] = <size_t>piece, rest[0]
        return held, scraps.kept_bytes
    finally:
        for at, _ in pieces.values():
            take_back(<void*><size_t>at, &scraps)
        scraps_end(&scraps)
