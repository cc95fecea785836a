"""Turns: messages go from the loop to the engine, and answers back, a block of them at a time.

                 first -> block -> block <- last        filled by the loop, a message at a time
      loop                                      engine  takes the first, however full it is
                 done  -> block -> block                answered; eventfd wakes the loop

    block    | entry | entry | entry | ...              in the order of arrival
    messages | message | message | message | ...        one after another, without their prefixes
    answers  | prefix | answer | prefix | answer | ...

Requests to route one order each are, one after another, one request to route several; and so
with the answers. So the messages of a run of them are cut out as one piece, and the answer to it is
cut up. The loop never waits for the engine, nor the engine for the loop but when nothing is to do.
A block belongs to one thread at a time: it is passed on under the mutex, with all that is in it.
"""
from cython cimport no_gc_clear
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec
from posix.unistd cimport close, write

from typing import NamedTuple

from fendan.engine.protocol cimport (
    ESCAPE_BYTES,
    MOST_STATUS,
    PREFIX_BYTES,
    base64_encoded,
    first_order_end,
    percent_encoded,
    put_prefix,
)
from fendan.engine.room cimport grow
from fendan.engine.streams cimport bytes_add, bytes_end, bytes_reserve

cdef extern from "<pthread.h>" nogil:
    int pthread_mutex_init(pthread_mutex_t* mutex, const void* attributes)
    int pthread_mutex_destroy(pthread_mutex_t* mutex)
    int pthread_mutex_lock(pthread_mutex_t* mutex)
    int pthread_mutex_unlock(pthread_mutex_t* mutex)
    int pthread_cond_init(pthread_cond_t* condition, const void* attributes)
    int pthread_cond_destroy(pthread_cond_t* condition)
    int pthread_cond_wait(pthread_cond_t* condition, pthread_mutex_t* mutex)
    int pthread_cond_signal(pthread_cond_t* condition)
    int pthread_cond_broadcast(pthread_cond_t* condition)

cdef extern from "<sys/eventfd.h>" nogil:
    int eventfd(unsigned int value, int flags)
    int EFD_CLOEXEC, EFD_NONBLOCK

cdef extern from * nogil:
    """
    /* Written by the loop while the engine's thread looks; either answer is fine. */
    #define fendan_is_gone(stream) __atomic_load_n(&(stream)->is_gone, __ATOMIC_RELAXED)
    """
    bint is_gone "fendan_is_gone"(Stream* stream)

cdef enum:
    FIRST_ENTRIES = 16
    KEPT_BLOCK_BYTES = 4_194_304    # room that an empty block keeps
    NANOSECONDS = 1_000_000_000


class Ending(NamedTuple):
    """How a call ends: a gRPC status, words for people, and a google.rpc.Status or b""."""

    status: int
    message: str
    details: bytes


# -- THE QUEUE ---------------------------------------------------------------------------------

cdef int queue_begin(Queue* queue, int32_t turn_messages, int64_t turn_bytes) except -1:
    memset(queue, 0, sizeof(Queue))
    queue.turn_messages, queue.turn_bytes = turn_messages, turn_bytes
    queue.event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
    if queue.event < 0:
        raise OSError("no descriptor is left for an eventfd")
    pthread_mutex_init(&queue.mutex, NULL)
    pthread_cond_init(&queue.is_filled, NULL)
    return 0


cdef void end_blocks(Block* block) noexcept nogil:
    cdef Block* next
    cdef int32_t number
    while block != NULL:
        next = block.next
        for number in range(block.count):
            free(block.entries[number].owned)
        bytes_end(&block.messages)
        bytes_end(&block.answers)
        free(block.entries)
        free(block)
        block = next


cdef void queue_end(Queue* queue) noexcept nogil:
    """Give everything back; no thread may use it any more."""
    end_blocks(queue.first)
    end_blocks(queue.done)
    end_blocks(queue.spare)
    pthread_cond_destroy(&queue.is_filled)
    pthread_mutex_destroy(&queue.mutex)
    close(queue.event)


cdef Block* block_with_room(Queue* queue) noexcept nogil:
    """The block for the next entry, where it has room; NULL: no memory. Under the mutex."""
    cdef Block* block = queue.last
    cdef int32_t room
    if (block == NULL or block.count >= queue.turn_messages
            or block.messages.size >= queue.turn_bytes):
        block = queue.spare
        if block != NULL:
            queue.spare = block.next
            block.next = NULL
        else:
            block = <Block*>calloc(1, sizeof(Block))
            if block == NULL:
                return NULL
        if queue.last == NULL:
            queue.first = block
        else:
            queue.last.next = block
        queue.last = block
    if block.count == block.room:
        room = max(<int32_t>FIRST_ENTRIES, 2 * block.room)
        if not grow(<void**>&block.entries, room * sizeof(Entry)):
            return NULL
        block.room = room
    return block


cdef bint queue_put(
        Queue* queue, Stream* stream, const uint8_t* data, uint32_t size, uint8_t* owned,
        bint is_plain, int64_t now_ns) noexcept nogil:
    """Put a message behind the others. What it lies in, if that is `owned`, is taken over."""
    cdef Block* block
    cdef Entry* entry
    pthread_mutex_lock(&queue.mutex)
    block = block_with_room(queue)
    if block == NULL or not bytes_reserve(&block.messages, 0 if owned != NULL else size):
        pthread_mutex_unlock(&queue.mutex)
        return False
    if not block.count:
        block.first_ns = now_ns
    entry = &block.entries[block.count]
    memset(entry, 0, sizeof(Entry))
    entry.stream, entry.deadline_ns = stream, stream.deadline_ns
    entry.method, entry.caller = stream.method, stream.caller
    entry.is_allowed, entry.is_plain = stream.is_allowed, is_plain
    entry.owned, entry.size = owned, size
    entry.at = block.messages.size if owned == NULL else data - owned
    if owned == NULL:
        bytes_add(&block.messages, data, size)
    block.count += 1
    pthread_mutex_unlock(&queue.mutex)
    stream.references += 1
    return True


cdef void queue_wake(Queue* queue) noexcept nogil:
    """The engine has something to do."""
    pthread_mutex_lock(&queue.mutex)
    if queue.engine_waits and queue.first != NULL:
        pthread_cond_signal(&queue.is_filled)
    pthread_mutex_unlock(&queue.mutex)


cdef Block* queue_done(Queue* queue) noexcept nogil:
    """What was handed back, the first one first."""
    cdef Block* block
    cdef Block* next
    cdef Block* first = NULL
    pthread_mutex_lock(&queue.mutex)
    block = queue.done
    queue.done = NULL
    pthread_mutex_unlock(&queue.mutex)
    while block != NULL:
        next = block.next
        block.next = first
        first, block = block, next
    return first


cdef void queue_spare(Queue* queue, Block* block) noexcept nogil:
    """Keep a block for later, and of its room so much as is usual."""
    cdef int32_t number
    for number in range(block.count):
        free(block.entries[number].owned)
    block.count = 0
    block.messages.at = block.messages.size = block.answers.at = block.answers.size = 0
    if block.messages.room > KEPT_BLOCK_BYTES:
        bytes_end(&block.messages)
    if block.answers.room > KEPT_BLOCK_BYTES:
        bytes_end(&block.answers)
    pthread_mutex_lock(&queue.mutex)
    block.next = queue.spare
    queue.spare = block
    pthread_mutex_unlock(&queue.mutex)


cdef void queue_close(Queue* queue) noexcept nogil:
    """Nothing more will come: whoever waits is to know."""
    pthread_mutex_lock(&queue.mutex)
    queue.is_closed = True
    pthread_cond_broadcast(&queue.is_filled)
    pthread_mutex_unlock(&queue.mutex)


cdef Block* wait_for_block(Queue* queue) noexcept nogil:
    """The first block; NULL when the queue is closed and empty."""
    cdef Block* block
    pthread_mutex_lock(&queue.mutex)
    while queue.first == NULL and not queue.is_closed:
        queue.engine_waits = True
        pthread_cond_wait(&queue.is_filled, &queue.mutex)
    queue.engine_waits = False
    block = queue.first
    if block != NULL:
        queue.first = block.next
        if queue.first == NULL:
            queue.last = NULL
        block.next = NULL
    pthread_mutex_unlock(&queue.mutex)
    return block


cdef void pass_back(Queue* queue, Block* block) noexcept nogil:
    """To the loop, which is woken where it does not know yet that there is something."""
    cdef uint64_t one = 1
    cdef bint is_first
    pthread_mutex_lock(&queue.mutex)
    is_first = queue.done == NULL
    block.next = queue.done
    queue.done = block
    pthread_mutex_unlock(&queue.mutex)
    if is_first:
        write(queue.event, &one, sizeof(one))


cdef int32_t drop(Block* block) noexcept nogil:
    """Leave out those for whom it is too late; how many are left."""
    cdef timespec now
    cdef int64_t now_ns
    cdef int32_t number, left = 0
    cdef Entry* entry
    clock_gettime(CLOCK_MONOTONIC, &now)
    block.taken_ns = now_ns = now.tv_sec * NANOSECONDS + now.tv_nsec
    for number in range(block.count):
        entry = &block.entries[number]
        if is_gone(entry.stream):
            entry.fate = FATE_GONE
        elif entry.deadline_ns and entry.deadline_ns <= now_ns:
            entry.fate = FATE_LATE
        else:
            left += 1
    return left


cdef object take(Queue* queue, object owner):
    cdef Turn turn
    cdef Block* block
    cdef int32_t left
    while True:
        with nogil:
            block = wait_for_block(queue)
            left = 0
            if block != NULL:
                left = drop(block)
                if not left:
                    pass_back(queue, block)
        if block == NULL:
            return None
        if left:
            break
    turn = Turn.__new__(Turn)
    turn.queue, turn.owner, turn.block = queue, owner, block
    return turn


# -- TURNS -------------------------------------------------------------------------------------

@no_gc_clear  # its owner must be there when it gives its block back
cdef class Turn:
    """The messages that are worked on together, as pieces in the order of their arrival."""

    def __init__(self):
        raise TypeError("turns are taken from a door")

    def __dealloc__(self):
        if self.block != NULL:
            pass_back(self.queue, self.block)

    def __iter__(self):
        """The pieces that have no answer yet: runs of plain requests to route, and each other
        message by itself.
        """
        cdef int32_t first = 0, past, count
        cdef Entry* entries
        cdef Piece piece
        if self.block == NULL:
            raise ValueError("this turn was handed back before")
        entries = self.block.entries
        pieces = []  # none is kept here: a turn that knew them would wait for the garbage collector
        while first < self.block.count:
            if entries[first].fate != FATE_WAITING:
                first += 1
                continue
            past, count = first + 1, 1
            while entries[first].is_plain and past < self.block.count:
                if entries[past].fate == FATE_WAITING:
                    if not entries[past].is_plain:
                        break
                    count += 1
                past += 1
            piece = Piece.__new__(Piece)
            piece.turn, piece.first, piece.past, piece.count = self, first, past, count
            pieces.append(piece)
            first = past
        return iter(pieces)

    @property
    def waited_s(self):
        """How long the first of them waited for the engine, in seconds."""
        if self.block == NULL:
            raise ValueError("this turn was handed back before")
        return max(0, self.block.taken_ns - self.block.first_ns) * 1e-9

    cdef int hand_back(self) except -1:
        cdef Block* block = self.block
        if block == NULL:
            raise ValueError("this turn was handed back before")
        self.block = NULL
        with nogil:
            pass_back(self.queue, block)
        return 0


cdef class Piece:
    """One message; or the messages of `count` calls that route one order each, as one.

    It is answered or ended once, before its turn is handed back; a piece that is neither is ended
    as an internal error.
    """

    def __init__(self):
        raise TypeError("pieces are parts of turns")

    cdef Entry* entry(self) except NULL:
        """The first one."""
        if self.turn.block == NULL:
            raise ValueError("this turn was handed back before")
        return &self.turn.block.entries[self.first]

    @property
    def method(self):
        """The index of the method that is called."""
        return self.entry().method

    @property
    def caller(self):
        """The index of the token of the first call; 0 where there are no tokens."""
        return self.entry().caller

    @property
    def is_allowed(self):
        """Whether the caller may call this method; if not, the message has not been read."""
        return self.entry().is_allowed

    @property
    def data(self):
        """The message. Above a count of 1, a BatchRouteRequest."""
        cdef Entry* entry = self.entry()
        cdef const uint8_t* messages = self.turn.block.messages.data
        cdef Entry* last = entry + (self.past - self.first - 1)
        cdef int64_t size = 0, at = 0
        cdef int32_t number
        if entry.owned != NULL:
            return PyBytes_FromStringAndSize(<char*>entry.owned + entry.at, entry.size)
        for number in range(self.past - self.first):
            if entry[number].fate == FATE_WAITING:
                size += entry[number].size
        if last.at + last.size - entry.at == size:  # nothing between them was dropped
            return PyBytes_FromStringAndSize(<const char*>messages + entry.at, size)
        data = PyBytes_FromStringAndSize(NULL, size)
        for number in range(self.past - self.first):
            if entry[number].fate == FATE_WAITING:
                memcpy(PyBytes_AS_STRING(data) + at, messages + entry[number].at,
                       entry[number].size)
                at += entry[number].size
        return data

    def callers(self):
        """The index of the token of each call."""
        cdef Entry* entry = self.entry()
        cdef int32_t number
        return [entry[number].caller for number in range(self.past - self.first)
                if entry[number].fate == FATE_WAITING]

    def halves(self):
        """Two pieces of it, the first one first.

        Raises ValueError for one that has no halves.
        """
        cdef Entry* entry = self.entry()
        cdef Piece first, second
        cdef int32_t number, count = 0
        if self.count < 2:
            raise ValueError("a piece of one message has no halves")
        number = self.first
        while count < self.count // 2:
            count += entry[number - self.first].fate == FATE_WAITING
            number += 1
        while entry[number - self.first].fate != FATE_WAITING:
            number += 1
        first, second = Piece.__new__(Piece), Piece.__new__(Piece)
        first.turn = second.turn = self.turn
        first.first, first.past, first.count = self.first, number, count
        second.first, second.past, second.count = number, self.past, self.count - count
        return first, second

    def answer(self, bytes data not None):
        """Answer with this message. Above a count of 1, a BatchRouteResponse of as many decisions.

        Raises ValueError where it is not, or the piece has been answered; then nothing has changed.
        """
        cdef Entry* entry = self.entry()
        cdef const uint8_t* at = data
        cdef int64_t size = len(data), before
        cdef int32_t number, others
        cdef Bytes* answers = &self.turn.block.answers
        if entry.fate != FATE_WAITING:
            raise ValueError("this piece has its answer")
        if size >= 1 << 32:
            raise ValueError("an answer of 4 GiB or more")
        if not bytes_reserve(answers, size + <int64_t>PREFIX_BYTES * self.count):
            raise MemoryError
        if self.count == 1:
            give(answers, entry, at, size)
            return
        before = answers.size
        with nogil:
            number = cut(answers, entry, self.past - self.first, at, at + size)
            if number != self.count:
                answers.size = before
        if number != self.count:
            for others in range(self.past - self.first):
                if entry[others].fate == FATE_ANSWERED:
                    entry[others].fate = FATE_WAITING
            raise ValueError(f"no {self.count} decisions and nothing else")

    def end(self, ending not None):
        """End the call with this status; a piece of one message only.

        Raises ValueError otherwise, or where the piece has been answered.
        """
        cdef Entry* entry = self.entry()
        cdef Bytes* answers = &self.turn.block.answers
        cdef bytes message = ending[1].encode(), details = ending[2]
        if self.count != 1 or entry.fate != FATE_WAITING:
            raise ValueError("only a piece of one message, not answered yet, can be ended")
        if not 0 <= ending[0] <= MOST_STATUS:
            raise ValueError(f"{ending[0]} is no gRPC status")
        if not bytes_reserve(answers, ESCAPE_BYTES * len(message) + 2 * len(details) + 4):
            raise MemoryError
        entry.fate, entry.status, entry.answer_at = FATE_ENDED, ending[0], answers.size
        entry.answer_size = <uint32_t>percent_encoded(
            message, len(message), answers.data + answers.size)
        answers.size += entry.answer_size
        entry.details_size = <uint32_t>base64_encoded(
            details, len(details), answers.data + answers.size)
        answers.size += entry.details_size


cdef inline void give(Bytes* answers, Entry* entry, const uint8_t* data, int64_t size) noexcept nogil:
    """Write an answer with its prefix, for which there is room."""
    cdef uint8_t* into = answers.data + answers.size
    put_prefix(into, <uint32_t>size)
    if size:
        memcpy(into + PREFIX_BYTES, data, size)
    entry.answer_at, entry.answer_size = answers.size, <uint32_t>size + PREFIX_BYTES
    entry.fate = FATE_ANSWERED
    answers.size += entry.answer_size


cdef int32_t cut(
        Bytes* answers, Entry* entries, int32_t count, const uint8_t* at,
        const uint8_t* end) noexcept nogil:
    """Give each entry that waits one decision; how many have one, or -1: there is something else."""
    cdef const uint8_t* next
    cdef int32_t number, given = 0
    for number in range(count):
        if entries[number].fate != FATE_WAITING:
            continue
        next = first_order_end(at, end)
        if next == NULL:
            return -1
        give(answers, &entries[number], at, next - at)
        at = next
        given += 1
    return given if at == end else -1
