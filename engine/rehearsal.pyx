"""A door's session without a socket, a thread or a clock: what tests and fuzzers talk to.

Time passes when it is told to, so that a test of a minute takes none.
"""
from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memset

from fendan.engine.connection cimport connection_drain, run_timers, settle_all
from fendan.engine.house cimport house_begin, house_end, stats_of
from fendan.engine.nghttp2 cimport (
    nghttp2_session_mem_send,
    nghttp2_session_want_read,
    nghttp2_session_want_write,
)
from fendan.engine.queue cimport queue_close
from fendan.engine.session cimport session_begin, session_callbacks, session_end, session_read
from fendan.engine.timers cimport NANOSECONDS
from fendan.engine.turns cimport Turn, take


cdef class Rehearsal:
    """One connection to a door; the arguments are those of `door.Door`."""

    def __cinit__(self):
        memset(&self.house, 0, sizeof(House))
        memset(&self.connection, 0, sizeof(Connection))
        self.house.queue.event = -1

    def __init__(self, *, methods, limits, tokens=None, endings=None):
        if self.has_begun:
            raise TypeError("it is made once")
        self.has_begun = True
        house_begin(&self.house, methods, tokens, limits, endings or {})
        session_callbacks(&self.house)
        queue_close(&self.house.queue)  # so that nobody waits for what has not come
        self.connection.house = &self.house
        self.connection.is_open = self.connection.link.is_open = True
        if session_begin(&self.connection):
            raise MemoryError
        self.house.counts.connections = 1
        self.is_open = True

    def __dealloc__(self):
        session_end(&self.connection)
        house_end(&self.house)

    def receive(self, bytes data not None):
        """The client sends this; what it is sent."""
        if self.is_open and data:
            self.connection.heard_ns = self.house.now_ns
            if self.connection.is_hung_up:
                return b""
            if not session_read(&self.connection, data, len(data)):
                self.leave()
        return self.fetch()

    def take(self):
        """What waits, or None."""
        return take(&self.house.queue, self)

    def hand_back(self, Turn turn not None):
        """Its answers; what the client is sent."""
        turn.hand_back()
        return self.settled()

    def settled(self):
        """What the client is sent now that turns are given up or handed back."""
        settle_all(&self.house, NULL)
        return self.fetch()

    def pass_time(self, double seconds):
        """Let so much time pass; what the client is sent meanwhile."""
        cdef int64_t end_ns = self.house.now_ns + <int64_t>(seconds * NANOSECONDS)
        sent = b""
        while self.house.now_ns < end_ns and self.is_open:
            self.house.now_ns = min(end_ns, self.house.now_ns + NANOSECONDS // 100)
            run_timers(&self.house)
            sent += self.fetch()
        return sent

    def drain(self):
        """No more calls; what the client is sent."""
        self.house.is_draining = True
        connection_drain(&self.connection)
        return self.fetch()

    def leave(self):
        """The client is gone."""
        self.is_open = False
        session_end(&self.connection)
        self.house.counts.connections = 0

    def stats(self):
        """As of a door."""
        return stats_of(&self.house)

    cdef object fetch(self):
        """All that can be sent now."""
        cdef const uint8_t* data = NULL
        cdef Py_ssize_t size
        self.house.dirty = NULL
        self.connection.is_dirty = False
        sent = []
        while self.is_open and not self.connection.is_gone:
            size = nghttp2_session_mem_send(self.connection.session, &data)
            if size > 0:
                sent.append(data[:size])
                continue
            if not nghttp2_session_want_read(self.connection.session) and (
                    not nghttp2_session_want_write(self.connection.session)):
                self.connection.is_gone = True
            break
        if self.is_open and (self.connection.is_gone or self.connection.is_hung_up):
            self.leave()
        return b"".join(sent)
