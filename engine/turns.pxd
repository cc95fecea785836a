"""Turns: what waits when the engine is free, as Python sees it."""
from libc.stdint cimport int32_t, uint8_t, uint32_t

from fendan.engine.queue cimport Block, Entry, Queue
from fendan.engine.streams cimport Bytes

cdef class Turn:
    cdef Queue* queue
    cdef object owner           # of the queue, which must live as long
    cdef Block* block           # NULL: handed back
    cdef int hand_back(self) except -1


cdef class Piece:
    cdef Turn turn
    cdef int32_t first, past    # of the block's entries; those that are dropped do not count
    cdef readonly int32_t count
    cdef Entry* entry(self) except NULL


cdef uint8_t put_ending(ending, Bytes* into, uint32_t* size, uint32_t* details_size) except? 255
# The next turn, or None when the queue is closed and empty.
cdef object take(Queue* queue, object owner)
