"""The queue: what the loop has read and the engine has not answered yet, between two threads."""
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t

from fendan.engine.streams cimport Bytes, Stream

cdef extern from "<pthread.h>" nogil:
    ctypedef struct pthread_mutex_t:
        pass
    ctypedef struct pthread_cond_t:
        pass

cdef enum Fate:
    FATE_WAITING = 0
    FATE_GONE = 1               # nobody waits for an answer
    FATE_LATE = 2               # its deadline passed before the work began
    FATE_ANSWERED = 3
    FATE_ENDED = 4              # with a status and words

cdef enum:
    GATHERED_BYTES = 65_536     # of a unary call, a larger one is not copied, and stays alone


# One message, and what became of it.
cdef struct Entry:
    Stream* stream
    int64_t deadline_ns         # 0: none
    uint8_t* owned              # a message in memory of its own, or NULL
    int64_t at                  # where it begins in that, or in the block's messages
    int64_t answer_at           # where in the block's answers
    uint32_t size
    uint32_t answer_size        # with its prefix; of an ending: of its message
    uint32_t details_size       # of an ending
    int32_t method
    int32_t caller
    uint8_t fate
    uint8_t status              # of an ending
    bint is_plain
    bint is_allowed


# The messages of one turn, in the order of their arrival.
cdef struct Block:
    Block* next
    Entry* entries
    int32_t count
    int32_t room
    int64_t first_ns            # when the first of them came
    int64_t taken_ns            # when the engine took it
    Bytes messages
    Bytes answers


cdef struct Queue:
    pthread_mutex_t mutex       # of all that follows, up to the line
    pthread_cond_t is_filled
    Block* first                # those that wait
    Block* last
    Block* done                 # those that were handed back, the last one first
    Block* spare                # empty ones
    bint engine_waits
    bint loop_waits             # or is about to: it is to be woken
    bint is_closed
    # --
    int event                   # an eventfd: something was done
    int32_t turn_messages       # as many as one turn may have
    int64_t turn_bytes          # as much, of those that were copied


cdef int queue_begin(Queue* queue, int32_t turn_messages, int64_t turn_bytes) except -1
cdef void queue_end(Queue* queue) noexcept nogil
# Those of the loop's thread. False: no memory.
cdef bint queue_put(
    Queue* queue, Stream* stream, const uint8_t* data, uint32_t size, uint8_t* owned,
    bint is_plain, int64_t now_ns) noexcept nogil
cdef void queue_wake(Queue* queue) noexcept nogil
cdef Block* queue_done(Queue* queue) noexcept nogil
# The loop is about to wait for sockets; False: not now, something was done.
cdef bint queue_rest(Queue* queue) noexcept nogil
cdef void queue_spare(Queue* queue, Block* block) noexcept nogil
cdef void queue_close(Queue* queue) noexcept nogil
# Those of the engine's threads. Waits for the first block; NULL: closed, and empty.
cdef Block* queue_wait(Queue* queue) noexcept nogil
cdef void queue_hand_back(Queue* queue, Block* block) noexcept nogil
# Leave out those for whom it is too late; how many are left.
cdef int32_t block_drop(Block* block) noexcept nogil
