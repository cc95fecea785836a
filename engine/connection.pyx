"""One connection: from its socket to its session and back, until one of its timers ends it.

    socket -> link -> input  -> session_read                       as much as there is
    socket <- link <- output <- nghttp2_session_mem_send           once a turn of the loop
                   <- unsent                                       what did not fit the socket

As long as something is unsent, libnghttp2 is not asked for more: so a peer that does not read costs
one buffer, and what its own calls hold.
"""
from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy
from posix.unistd cimport close

from fendan.engine.exchange cimport drain_streams, make_dirty, settle, stream_late
from fendan.engine.link cimport (
    LINK_AGAIN,
    link_begin,
    link_end,
    link_read,
    link_speaks_h2,
    link_write,
)
from fendan.engine.nghttp2 cimport *
from fendan.engine.queue cimport Block, queue_done, queue_spare
from fendan.engine.session cimport session_begin, session_end, session_read
from fendan.engine.streams cimport STREAM_TIMER, Stream
from fendan.engine.timers cimport Timer, timer_due, timer_set

cdef enum:
    READS = 16                  # of one connection, before others have their turn
    # Between the first GOAWAY and the last one: calls that are on their way still arrive.
    NOTICE_NS = 100_000_000
    # How long a peer that was hung up on has time to read why.
    LINGER_NS = 1_000_000_000
    # So many frames that wait to be sent are not the answers of calls, of which there are fewer.
    SPARE_FRAMES = 1_000


cdef Connection* connection_begin(House* house, int socket, void* context) noexcept nogil:
    cdef Connection* connection = <Connection*>calloc(1, sizeof(Connection))
    if connection == NULL:
        close(socket)
        return NULL
    connection.house = house
    if link_begin(&connection.link, socket, context, True):
        close(socket)
        free(connection)
        return NULL
    if session_begin(connection):
        link_end(&connection.link)
        free(connection)
        return NULL
    connection.next = house.connections
    if house.connections != NULL:
        house.connections.previous = connection
    house.connections = connection
    house.counts.connections += 1
    house.counts.accepted += 1
    make_dirty(connection)
    return connection


cdef void connection_end(Connection* connection) noexcept nogil:
    """Close it and give everything back; it must not be dirty."""
    cdef House* house = connection.house
    session_end(connection)
    link_end(&connection.link)
    if connection.next != NULL:
        connection.next.previous = connection.previous
    if connection.previous != NULL:
        connection.previous.next = connection.next
    else:
        house.connections = connection.next
    house.counts.connections -= 1
    free(connection.unsent)
    free(connection)


cdef inline void mark_gone(Connection* connection) noexcept nogil:
    connection.is_gone = True
    make_dirty(connection)


# -- READING -----------------------------------------------------------------------------------

cdef bint connection_read(Connection* connection, Buffers* buffers) noexcept nogil:
    cdef House* house = connection.house
    cdef Py_ssize_t size
    cdef int number
    for number in range(READS):
        if connection.is_gone:
            return False
        size = link_read(&connection.link, buffers.input, BUFFER_BYTES)
        if connection.link.is_open and not connection.is_open:
            connection.is_open = True
            if not link_speaks_h2(&connection.link):
                mark_gone(connection)
                return False
            make_dirty(connection)
        if size == LINK_AGAIN:
            if connection.link.tls != NULL:  # it may wait for room to write
                make_dirty(connection)
            return False
        if size <= 0:
            mark_gone(connection)
            return False
        connection.heard_ns = house.now_ns
        house.counts.read_bytes += size
        if connection.is_hung_up:
            continue  # let it read why
        make_dirty(connection)
        if not session_read(connection, buffers.input, size):
            house.counts.hung_up += 1
            mark_gone(connection)
            return False
        if connection.link.tls == NULL and size < BUFFER_BYTES:
            return False
    return True


# -- WRITING -----------------------------------------------------------------------------------

cdef size_t write_some(Connection* connection, const uint8_t* data, size_t size) noexcept nogil:
    """How much of it the socket takes now; it may end with that."""
    cdef Py_ssize_t written
    cdef size_t at = 0
    while at < size:
        written = link_write(&connection.link, data + at, size - at)
        if written <= 0:
            connection.is_gone |= written != LINK_AGAIN
            break
        at += written
    connection.house.counts.written_bytes += at
    return at


cdef bint send_off(Connection* connection, Buffers* buffers) noexcept nogil:
    """Write as much as the socket takes, and keep the rest; False: there is a rest, or an end."""
    cdef size_t size = buffers.filled, at = write_some(connection, buffers.output, size)
    buffers.filled = 0
    if at == size or connection.is_gone:
        return at == size
    connection.unsent = <uint8_t*>malloc(size - at)
    if connection.unsent == NULL:
        connection.is_gone = True
        return False
    memcpy(connection.unsent, buffers.output + at, size - at)
    connection.unsent_at, connection.unsent_size = 0, size - at
    return False


cdef bint send_unsent(Connection* connection) noexcept nogil:
    """Go on with what the socket did not take before; whether it is through."""
    connection.unsent_at += write_some(connection, connection.unsent + connection.unsent_at,
                                       connection.unsent_size - connection.unsent_at)
    if connection.unsent_at < connection.unsent_size:
        return False
    free(connection.unsent)
    connection.unsent = NULL
    connection.unsent_at = connection.unsent_size = 0
    return True


cdef bint gather(Connection* connection, Buffers* buffers) noexcept nogil:
    """Put all that libnghttp2 has into the output, which is sent when it is full.

    False: no more can be sent now, and the output is empty.
    """
    cdef const uint8_t* data = NULL
    cdef Py_ssize_t size
    while True:
        size = nghttp2_session_mem_send(connection.session, &data)
        if size == 0:
            return True
        if size < 0 or buffers.filled + size > BUFFER_BYTES:
            break  # no memory; libnghttp2 has no frame above 64 KiB and a head
        memcpy(buffers.output + buffers.filled, data, size)
        buffers.filled += size
        if buffers.filled >= BUFFER_BYTES // 2 and not send_off(connection, buffers):
            return False
    connection.is_gone = True
    buffers.filled = 0
    return False


cdef void connection_write(Connection* connection, Buffers* buffers) noexcept nogil:
    """Send all that libnghttp2 has, in as few writes as can be."""
    if connection.is_gone or not connection.link.is_open:
        return
    if connection.unsent != NULL and not send_unsent(connection):
        # Who lets us answer so much, and reads nothing, does not mean to be served.
        if nghttp2_session_get_outbound_queue_size(connection.session) > (
                <size_t>connection.house.limits.concurrent_streams + SPARE_FRAMES):
            connection.is_gone = True
        return
    if not gather(connection, buffers) or not send_off(connection, buffers):
        return
    if connection.is_hung_up and not connection.leaving_ns:
        connection.leaving_ns = connection.house.now_ns
        timer_set(&connection.house.wheel, &connection.timer, connection.leaving_ns + LINGER_NS)
    if not nghttp2_session_want_read(connection.session) and (
            not nghttp2_session_want_write(connection.session)):
        connection.is_gone = True


# -- TIMERS ------------------------------------------------------------------------------------

cdef void connection_drain(Connection* connection) noexcept nogil:
    """The first GOAWAY; the last one follows when calls that were on their way have come."""
    if connection.goodbyes or connection.is_hung_up:
        return
    connection.goodbyes = 1
    nghttp2_submit_shutdown_notice(connection.session)
    drain_streams(connection)
    timer_set(&connection.house.wheel, &connection.timer, connection.house.now_ns + NOTICE_NS)
    make_dirty(connection)


cdef bint is_over(Connection* connection) noexcept nogil:
    """Whether a peer has been borne with for long enough."""
    cdef House* house = connection.house
    cdef int64_t now_ns = house.now_ns
    if connection.leaving_ns:
        return now_ns - connection.leaving_ns >= LINGER_NS
    if not connection.is_greeted and now_ns - connection.began_ns >= house.limits.header_ns:
        return True
    if connection.heading != NULL and (
            now_ns - connection.heading.began_ns >= house.limits.header_ns):
        return True
    return connection.pinged_ns != 0 and (
        connection.heard_ns < connection.pinged_ns
        and now_ns - connection.pinged_ns >= house.limits.keepalive_timeout_ns)


cdef void connection_check(Connection* connection) noexcept nogil:
    """Do what is due, and find out when to look again."""
    cdef House* house = connection.house
    cdef int64_t now_ns = house.now_ns, next_ns
    if is_over(connection):
        mark_gone(connection)
        return
    if connection.leaving_ns:  # all is said
        timer_set(&house.wheel, &connection.timer, connection.leaving_ns + LINGER_NS)
        return
    if connection.goodbyes == 1:
        connection.goodbyes = 2
        nghttp2_submit_goaway(
            connection.session, NGHTTP2_FLAG_NONE,
            nghttp2_session_get_last_proc_stream_id(connection.session), NGHTTP2_NO_ERROR, NULL, 0)
        make_dirty(connection)
    next_ns = connection.heard_ns + house.limits.keepalive_ns
    if not connection.is_greeted:
        next_ns = connection.began_ns + house.limits.header_ns
    elif connection.pinged_ns and connection.heard_ns < connection.pinged_ns:
        next_ns = connection.pinged_ns + house.limits.keepalive_timeout_ns
    elif next_ns <= now_ns:
        connection.pinged_ns = now_ns
        nghttp2_submit_ping(connection.session, NGHTTP2_FLAG_NONE, NULL)
        make_dirty(connection)
        next_ns = now_ns + house.limits.keepalive_timeout_ns
    if connection.heading != NULL:
        next_ns = min(next_ns, connection.heading.began_ns + house.limits.header_ns)
    if not connection.stream_count and not connection.goodbyes and connection.is_greeted:
        if now_ns - connection.idle_ns >= house.limits.idle_ns:
            connection_drain(connection)
            return
        next_ns = min(next_ns, connection.idle_ns + house.limits.idle_ns)
    timer_set(&house.wheel, &connection.timer, max(next_ns, now_ns + 1))


# -- OF ALL CONNECTIONS ------------------------------------------------------------------------

cdef void settle_block(House* house, Block* block, Buffers* buffers) noexcept nogil:
    """Answer the calls of a block, each in frames as soon as it is answered.

    So libnghttp2 never has the answers of thousands to put in order, and each of its streams is
    found in the cache from its first frame to its last. Calls of one connection mostly stand
    together, as they were read: their frames leave in one write.
    """
    cdef Connection* connection
    cdef Connection* filling = NULL
    cdef int32_t number
    for number in range(block.count):
        connection = <Connection*>block.entries[number].stream.connection
        settle(house, block, &block.entries[number])
        if buffers == NULL or connection == NULL:
            continue
        if connection != filling:
            if filling != NULL:
                send_off(filling, buffers)
            filling = NULL
            if connection.is_gone or connection.unsent != NULL or not connection.link.is_open:
                continue
            filling = connection
        if not gather(connection, buffers):
            filling = NULL
    if filling != NULL:
        send_off(filling, buffers)


cdef void settle_all(House* house, Buffers* buffers) noexcept nogil:
    """Give out what was answered."""
    cdef Block* block = queue_done(&house.queue)
    cdef Block* next
    while block != NULL:
        next = block.next
        settle_block(house, block, buffers)
        queue_spare(&house.queue, block)
        block = next


cdef void run_timers(House* house) noexcept nogil:
    cdef Timer* timer = timer_due(&house.wheel, house.now_ns)
    while timer != NULL:
        if timer.kind == STREAM_TIMER:
            stream_late(house, <Stream*>timer.owner)
        else:
            connection_check(<Connection*>timer.owner)
        timer = timer_due(&house.wheel, house.now_ns)
