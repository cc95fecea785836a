"""The queue: messages go from the loop to the engine, and answers back, a block of them at a time.

                 first -> block -> block <- last        filled by the loop, a message at a time
      loop                                      engine  takes the first, however full it is
                 done  -> block -> block                answered; eventfd wakes the loop

    block    | entry | entry | entry | ...              in the order of arrival
    messages | message | message | message | ...        one after another, without their prefixes
    answers  | prefix | answer | prefix | answer | ...

The loop never waits for the engine, nor the engine for the loop but when nothing is to do. A block
belongs to one thread at a time: it is passed on under the mutex, with all that is in it.
"""
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset
from posix.unistd cimport close, write

from fendan.engine.room cimport grow
from fendan.engine.streams cimport bytes_add, bytes_end, bytes_reserve, is_gone
from fendan.engine.timers cimport clock_ns

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

cdef enum:
    FIRST_ENTRIES = 16
    KEPT_BLOCK_BYTES = 4_194_304    # room that an empty block keeps
    # So much work is not let wait until the loop has read all that came: to do it takes longer
    # than to wake who does.
    ENOUGH_TO_WAKE = 256


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
    if queue.engine_waits and block.count == ENOUGH_TO_WAKE:
        pthread_cond_signal(&queue.is_filled)
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
    queue.loop_waits = False
    block = queue.done
    queue.done = NULL
    pthread_mutex_unlock(&queue.mutex)
    while block != NULL:
        next = block.next
        block.next = first
        first, block = block, next
    return first


cdef bint queue_rest(Queue* queue) noexcept nogil:
    """The loop is about to wait for sockets; False: not now, something was done.

    Who does something after that wakes it, and nobody before: a loop that is up finds it anyway.
    """
    cdef bint waits
    pthread_mutex_lock(&queue.mutex)
    queue.loop_waits = waits = queue.done == NULL
    pthread_mutex_unlock(&queue.mutex)
    return waits


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


cdef Block* queue_wait(Queue* queue) noexcept nogil:
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


cdef void queue_hand_back(Queue* queue, Block* block) noexcept nogil:
    """To the loop, which is woken where it waits for sockets."""
    cdef uint64_t one = 1
    cdef bint waits
    pthread_mutex_lock(&queue.mutex)
    waits = queue.loop_waits
    queue.loop_waits = False
    block.next = queue.done
    queue.done = block
    pthread_mutex_unlock(&queue.mutex)
    if waits:
        write(queue.event, &one, sizeof(one))


cdef int32_t block_drop(Block* block) noexcept nogil:
    """Leave out those for whom it is too late; how many are left."""
    cdef int64_t now_ns = clock_ns()
    cdef int32_t number, left = 0
    cdef Entry* entry
    block.taken_ns = now_ns
    for number in range(block.count):
        entry = &block.entries[number]
        if is_gone(entry.stream):
            entry.fate = FATE_GONE
        elif entry.deadline_ns and entry.deadline_ns <= now_ns:
            entry.fate = FATE_LATE
        else:
            left += 1
    return left
