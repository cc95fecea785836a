"""The native door: a gRPC server for a few hot methods, in one thread that never takes the GIL.

    clients <=> [ run: epoll, TLS, HTTP/2, gRPC ]        one thread, no GIL, waits for sockets only
                   | queue            ^ eventfd
                [ take: a turn ] -> work -> [ hand_back ]      other threads, which may wait

A turn of the loop reads what has come, sends what was answered, looks at timers, and then writes to
each connection that has something more to send. Connections are freed only there: until then
whatever names them may be followed.
"""
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset
from posix.unistd cimport close, write

import os
import socket as sockets

from fendan.engine.connection cimport (
    connection_begin,
    connection_drain,
    connection_end,
    connection_read,
    connection_write,
    run_timers,
    settle_all,
)
from fendan.engine.epoll cimport *
from fendan.engine.exchange cimport Connection, hang_up, make_dirty
from fendan.engine.house cimport house_begin, house_end, stats_of
from fendan.engine.link cimport Tls
from fendan.engine.nghttp2 cimport NGHTTP2_ENHANCE_YOUR_CALM
from fendan.engine.ports cimport ACCEPT_FULL, accept_at, listen_at
from fendan.engine.queue cimport queue_close, queue_rest, queue_wake
from fendan.engine.session cimport session_callbacks
from fendan.engine.timers cimport clock_ns, quiet_ns
from fendan.engine.turns cimport Turn, take
from fendan.engine.house import ENDINGS, DoorLimits, DoorStats
from fendan.engine.turns import Ending

cdef extern from * nogil:
    """
    /* Raised by whoever ends the door, looked at by the loop. */
    #define fendan_raise_flag(flag) __atomic_store_n(flag, 1, __ATOMIC_RELEASE)
    #define fendan_is_raised(flag) __atomic_load_n(flag, __ATOMIC_ACQUIRE)
    """
    void raise_flag "fendan_raise_flag"(bint* flag)
    bint is_raised "fendan_is_raised"(const bint* flag)

cdef enum:
    EVENTS = 256                # looked at in one turn
    ACCEPTED = 64               # in one turn
    # How long nobody is let in when no descriptor is left.
    PAUSE_NS = 100_000_000
    MILLISECOND_NS = 1_000_000


cdef class Door:
    """Serves `methods` at `listen` ("host:port", or "unix:path") when `run` is called.

    `methods` are pairs of a full name, such as "/fendan.v1.RoutingService/Route", and a kind: 0
    (unary, of which those that route one order each are gathered), 1 (unary) or 2 (a stream).
    `tokens` are pairs of a SHA-256 and a mask of methods, bit by index; None: everyone may call
    everything. `endings` replace words of ENDINGS. Raises UnavailableError where the address cannot
    be had.
    """

    def __cinit__(self):
        memset(&self.house, 0, sizeof(House))
        self.poll = self.listener = self.house.queue.event = -1

    def __init__(self, *, str listen not None, methods, tokens, limits, endings, Tls tls=None):
        cdef epoll_event event
        if self.buffers != NULL:
            raise TypeError("a door is made once")
        self.buffers = <Buffers*>malloc(sizeof(Buffers))
        self.poll = epoll_create1(EPOLL_CLOEXEC)
        if self.buffers == NULL or self.poll < 0:
            raise MemoryError
        self.buffers.filled = 0
        house_begin(&self.house, methods, tokens, limits, endings)
        session_callbacks(&self.house)
        self.tls = tls
        self.context = NULL if tls is None else tls.context
        self.listener = listen_at(listen, False)
        with sockets.socket(fileno=os.dup(self.listener)) as listener:
            name = listener.getsockname()
        self.port = name[1] if isinstance(name, tuple) else 0
        # By its edges: whoever rings once more is heard, and nothing need be read of it.
        event.events, event.data.ptr = EPOLLIN | EPOLLET, &self.house.queue
        epoll_ctl(self.poll, EPOLL_CTL_ADD, self.house.queue.event, &event)

    def __dealloc__(self):
        while self.house.connections != NULL:
            connection_end(self.house.connections)
        house_end(&self.house)
        if self.listener >= 0:
            close(self.listener)
        if self.poll >= 0:
            close(self.poll)
        free(self.buffers)

    # -- FOR THE ENGINE'S THREADS --------------------------------------------------------------

    def take(self):
        """All that waits, as much of it as one turn may have; waits for it without the GIL.

        None when the door is closed and nothing waits.
        """
        return take(&self.house.queue, self)

    def hand_back(self, Turn turn not None):
        """Let the answers of a turn leave."""
        turn.hand_back()

    # -- FOR WHOEVER RUNS IT -------------------------------------------------------------------

    def run(self):
        """Serve until closed: the loop, for a thread of its own. To be called once."""
        with nogil:
            self.serve()

    def drain(self):
        """Accept no connection and no call any more; streams end when what was read is answered."""
        raise_flag(&self.is_drained)
        self.ring()

    def close(self):
        """End everything at once."""
        raise_flag(&self.is_closed)
        queue_close(&self.house.queue)
        self.ring()

    cdef int ring(self) except -1:
        """Wake the loop."""
        cdef uint64_t one = 1
        write(self.house.queue.event, &one, sizeof(one))
        return 0

    @property
    def is_empty(self):
        """Whether no call is open, or waits for its end."""
        return self.house.counts.streams == 0 and self.house.counts.waiting == 0

    def stats(self):
        """What has happened, and what is now; read while it changes, each number for itself."""
        return stats_of(&self.house)

    # -- THE LOOP ------------------------------------------------------------------------------

    cdef void serve(self) noexcept nogil:
        cdef House* house = &self.house
        cdef int64_t wait_ns
        listen(self, True)
        while not is_raised(&self.is_closed):
            wait_ns = 0 if house.eager != NULL else quiet_ns(&house.wheel, house.now_ns)
            if not self.is_listening and self.listener >= 0:
                wait_ns = min(wait_ns, <int64_t>PAUSE_NS)
            if wait_ns and not queue_rest(&house.queue):
                wait_ns = 0
            self.look(wait_ns)
            if is_raised(&self.is_drained) and not house.is_draining:
                begin_draining(self)
            read_on(self)
            tell_news(house)  # so that the engine works while the loop answers
            settle_all(house, self.buffers)
            run_timers(house)
            spare_memory(self)
            tell_news(house)
            write_all(self)
            tell_news(house)  # who was sent so much that more of it is read
            if not self.is_listening and self.listener >= 0 and house.now_ns >= self.paused_ns + (
                    PAUSE_NS):
                listen(self, True)
        while house.connections != NULL:
            connection_end(house.connections)
        queue_close(&house.queue)

    cdef void look(self, int64_t wait_ns) noexcept nogil:
        """Wait for sockets, and read them."""
        cdef epoll_event events[EVENTS]
        cdef Connection* connection
        cdef int number, found
        found = epoll_wait(self.poll, events, EVENTS,
                           <int>((wait_ns + MILLISECOND_NS - 1) // MILLISECOND_NS))
        self.house.now_ns = clock_ns()
        for number in range(found):
            if events[number].data.ptr == NULL:
                self.welcome()
            elif events[number].data.ptr != &self.house.queue:  # that one only wakes
                connection = <Connection*>events[number].data.ptr
                if events[number].events & EPOLLOUT:
                    make_dirty(connection)
                # With TLS, a read may have waited for room to write.
                if events[number].events != EPOLLOUT or connection.link.tls != NULL:
                    take_in(self, connection)

    cdef void welcome(self) noexcept nogil:
        """Accept those who wait, or hang up on them where there are too many."""
        cdef House* house = &self.house
        cdef Connection* connection
        cdef epoll_event event
        cdef int number, socket
        for number in range(ACCEPTED):
            socket = accept_at(self.listener)
            if socket == ACCEPT_FULL:
                listen(self, False)
            if socket < 0:
                return
            if house.counts.connections >= house.limits.connections:
                house.counts.refused += 1
                close(socket)
                continue
            connection = connection_begin(house, socket, self.context)
            if connection == NULL:
                continue
            event.events, event.data.ptr = EPOLLIN, connection
            connection.events = EPOLLIN
            if epoll_ctl(self.poll, EPOLL_CTL_ADD, socket, &event):
                connection.is_gone = True


# -- PARTS OF A TURN ---------------------------------------------------------------------------

cdef void listen(Door door, bint on) noexcept nogil:
    """Have epoll look at the listener, or not."""
    cdef epoll_event event
    event.events, event.data.ptr = EPOLLIN, NULL
    epoll_ctl(door.poll, EPOLL_CTL_ADD if on else EPOLL_CTL_DEL, door.listener, &event)
    door.is_listening = on
    door.paused_ns = door.house.now_ns


cdef void begin_draining(Door door) noexcept nogil:
    cdef Connection* connection = door.house.connections
    door.house.is_draining = True
    if door.is_listening:
        listen(door, False)
    close(door.listener)
    door.listener = -1
    while connection != NULL:
        connection_drain(connection)
        connection = connection.next


cdef void take_in(Door door, Connection* connection) noexcept nogil:
    """Read a connection; one that has more is read again when others had their turn."""
    if connection_read(connection, door.buffers) and not connection.is_eager:
        connection.is_eager = True
        connection.next_eager = door.house.eager
        door.house.eager = connection


cdef void read_on(Door door) noexcept nogil:
    """Read those again that had more before this turn."""
    cdef Connection* connection = door.house.eager
    cdef Connection* next
    door.house.eager = NULL
    while connection != NULL:
        next = connection.next_eager
        connection.is_eager = False
        take_in(door, connection)
        connection = next


cdef void tell_news(House* house) noexcept nogil:
    """Wake the engine where there is something for it."""
    if house.has_news:
        house.has_news = False
        queue_wake(&house.queue)


cdef void spare_memory(Door door) noexcept nogil:
    """Where all together hold too much, hang up on the one that holds most."""
    cdef House* house = &door.house
    cdef Connection* connection = house.connections
    cdef Connection* most = connection
    if house.counts.held_bytes <= house.limits.queue_bytes:
        return
    while connection != NULL:
        if connection.held_bytes > most.held_bytes and not connection.is_gone:
            most = connection
        connection = connection.next
    hang_up(most, NGHTTP2_ENHANCE_YOUR_CALM, b"too_much_memory")
    connection_write(most, door.buffers)
    most.is_gone = True
    make_dirty(most)


cdef void leave(House* house, Connection* connection) noexcept nogil:
    """Take it from those that have more to read."""
    cdef Connection** link = &house.eager
    if not connection.is_eager:
        return
    while link[0] != connection:
        link = &link[0].next_eager
    link[0] = connection.next_eager


cdef void write_all(Door door) noexcept nogil:
    """Write to whoever there is something for, and free who is gone."""
    cdef House* house = &door.house
    cdef Connection* connection
    cdef epoll_event event
    while house.dirty != NULL:
        connection = house.dirty
        house.dirty = connection.next_dirty
        connection.is_dirty = False
        connection_write(connection, door.buffers)
        if connection.is_gone:
            leave(house, connection)
            connection_end(connection)
            continue
        event.events = EPOLLIN
        if connection.unsent != NULL or (
                connection.link.tls != NULL and connection.link.wants_write):
            event.events |= EPOLLOUT
        if event.events != connection.events:
            event.data.ptr = connection
            connection.events = event.events
            epoll_ctl(door.poll, EPOLL_CTL_MOD, connection.link.socket, &event)
