"""Many calls at once to a gRPC server, and how long each was waited for.

One thread, without the GIL, turns what is given as bytes into calls; what came of each is one
number in an array. Nothing is done in Python a call.

    Traffic                           Road: one connection          Call: one of its streams
    requests  [order|order|...]       session (libnghttp2)          which request, since when
    offsets   [0, 31, 62, ...]   ->   link (plain or TLS)      ->   free -> sent -> settled -> free
    due_ns    [...] or none           calls[streams]                         |
                                                                    latencies_ns[request]
                                                                    statuses[request]

*Closed loop*: a stream sends the next request as soon as its last one is answered, so there are
always connections x streams in flight. *Open loop*: each request has an instant at which it is due,
and its latency counts from then, also when no stream was free: a server that stalls cannot hide it.

Latencies are kept raw, eight bytes a request, and not in a histogram: percentiles are exact, and
what was slow can be found. An answer that is an error has a latency, too; a call that was never
answered has none. Invariant: every request is settled exactly once, or was never sent.
"""
from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport calloc, free, malloc
from libc.time cimport timespec
from posix.unistd cimport close

from cpython.exc cimport PyErr_CheckSignals

from fendan.engine.epoll cimport (
    EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLLIN, epoll_create1, epoll_ctl, epoll_event, epoll_wait)
from fendan.engine.link cimport Tls, link_begin
from fendan.engine.nghttp2 cimport (
    NGHTTP2_NV_FLAG_NO_COPY_NAME, NGHTTP2_NV_FLAG_NO_COPY_VALUE, nghttp2_nv)
from fendan.engine.ports cimport connect_to
from fendan.engine.roads cimport *
from fendan.engine.scraps cimport scraps_begin, scraps_end
from fendan.engine.streams cimport bytes_end
from fendan.engine.timers cimport NANOSECONDS, clock_ns

import threading
from typing import NamedTuple
from urllib.parse import unquote

import numpy as np

from fendan.errors import Fault, refuse

cdef extern from "<sys/timerfd.h>" nogil:
    struct itimerspec:
        timespec it_interval
        timespec it_value
    int timerfd_create(int clock, int flags)
    int timerfd_settime(int timer, int flags, const itimerspec* value, itimerspec* before)
    int TFD_NONBLOCK, TFD_CLOEXEC, TFD_TIMER_ABSTIME

cdef extern from "<time.h>" nogil:
    int CLOCK_MONOTONIC

# How long a turn lasts: how soon Ctrl-C is heard.
cdef int64_t TURN_NS = 100_000_000
cdef int EVENTS = 64
# Ports and descriptors end somewhere, and so does what one connection is allowed by any server.
MOST_CONNECTIONS = 20_000
MOST_STREAMS = 100_000
# In the place of a status: the call ended without an answer, or was never begun.
UNANSWERED = CALL_UNANSWERED
UNSENT = CALL_UNSENT


# -- THE LOOP -----------------------------------------------------------------------------------


cdef void begin_due(Run* run) noexcept nogil:
    """The open loop: all that is due, road after road, as long as one has a free stream."""
    cdef Road* road
    cdef int tried = 0, passed = 0, first = run.turn
    while (run.next < run.request_count and tried < run.road_count
           and run.start_ns + run.due_ns[run.next] <= run.now_ns):
        road = &run.roads[run.turn]
        run.turn = (run.turn + 1) % run.road_count
        tried += 1
        passed += 1
        if can_begin(road):
            begin(road, run.start_ns + run.due_ns[run.next])
            tried = 0
    for tried in range(min(passed, run.road_count)):
        flush(&run.roads[(first + tried) % run.road_count])


cdef void wake_at(Run* run, int64_t when_ns) noexcept nogil:
    cdef itimerspec at
    if when_ns == run.wake_ns:
        return
    run.wake_ns = when_ns
    at.it_interval.tv_sec = at.it_interval.tv_nsec = 0
    at.it_value.tv_sec = when_ns // NANOSECONDS
    at.it_value.tv_nsec = when_ns % NANOSECONDS
    timerfd_settime(run.timer, TFD_TIMER_ABSTIME, &at, NULL)


cdef bint is_done(Run* run) noexcept nogil:
    return run.alive == 0 or (run.opening == 0 and run.in_flight == 0
                              and run.next >= run.request_count)


cdef int go_on(Run* run, int64_t until_ns) noexcept nogil:
    """Until all is settled, or nobody is left, or it is so late. -1: no memory."""
    cdef epoll_event[64] events
    cdef uint8_t* room = <uint8_t*>malloc(IN_BYTES)
    cdef int at, found
    cdef int64_t wake_ns
    if room is NULL:
        return -1
    for at in range(run.road_count):
        look_at(&run.roads[at], room)
    run.now_ns = clock_ns()
    while not is_done(run) and run.now_ns < until_ns and not run.out_of_memory:
        wake_ns = until_ns
        if run.due_ns is not NULL:
            begin_due(run)
            if run.next < run.request_count and run.start_ns + run.due_ns[run.next] > run.now_ns:
                wake_ns = min(until_ns, run.start_ns + run.due_ns[run.next])
        wake_at(run, wake_ns)
        found = epoll_wait(run.epoll, events, EVENTS, -1)
        for at in range(found):
            if events[at].data.ptr is not NULL:  # the timer only wakes
                look_at(<Road*>events[at].data.ptr, room)
        run.now_ns = clock_ns()
    free(room)
    return -1 if run.out_of_memory else 0


cdef void give_up(Run* run) noexcept nogil:
    """Close the roads on which an answer is still missing: it would come to the next who sends."""
    cdef Road* road
    cdef int at, of
    for at in range(run.road_count):
        road = &run.roads[at]
        for of in range(run.streams):
            if road.is_alive and road.calls[of].request != NOBODY:
                end_road(road)


# -- FOR PYTHON ---------------------------------------------------------------------------------


class Outcome(NamedTuple):
    """What came of requests; the arrays have an entry for each, in their order.

    `statuses` are those of gRPC (0: OK), or UNANSWERED, or UNSENT; `latencies_ns` are -1 for these
    two. `seconds` run from the first request to the last answer; `said` has the words of the first
    error of each status; `lost` counts connections that ended. `answers`, where they were to be kept,
    are the messages of the OK ones, one after another as they came: of Route, a BatchRouteResponse.
    """

    latencies_ns: object
    statuses: object
    seconds: float
    bytes_sent: int
    bytes_received: int
    lost: int
    said: dict
    answers: bytes


cdef class Traffic:
    """Open connections to a server, and calls that are sent over them.

        with Traffic("127.0.0.1:50052", connections=8, streams=1_250) as traffic:
            outcome = traffic.send(ROUTE, requests, offsets)

    `address` is HOST:PORT or unix:PATH. `connections` is from 1 to 20,000 and `streams`, those of
    each connection, from 1 to 100,000. A thread at a time may send.
    Raises UnavailableError where a connection cannot be opened, InvalidInputError.
    """

    def __cinit__(self):
        self.run.epoll = self.run.timer = -1

    def __init__(self, str address not None, *, int connections=8, int streams=1, Tls tls=None,
                 str token=None, double open_s=10.0):
        cdef Run* run = &self.run
        cdef epoll_event event
        if run.roads is not NULL:
            raise RuntimeError("it has been opened")
        within("connections", connections, MOST_CONNECTIONS)
        within("streams", streams, MOST_STREAMS)
        self.address = address
        self.lock = threading.Lock()
        authority = "localhost" if address.startswith("unix:") else address
        self.fields = [
            (":method", "POST"), (":scheme", "http" if tls is None else "https"), (":path", ""),
            (":authority", authority), ("te", "trailers"), ("content-type", "application/grpc"),
        ]
        if token is not None:
            self.fields.append(("authorization", f"Bearer {token}"))
        run.headers = <nghttp2_nv*>calloc(len(self.fields), sizeof(nghttp2_nv))
        run.roads = <Road*>calloc(connections, sizeof(Road))
        run.epoll = epoll_create1(EPOLL_CLOEXEC)
        run.timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)
        if run.headers is NULL or run.roads is NULL or run.epoll < 0 or run.timer < 0:
            raise MemoryError
        run.streams = streams
        scraps_begin(&run.scraps)
        event.events = EPOLLIN
        event.data.ptr = NULL
        epoll_ctl(run.epoll, EPOLL_CTL_ADD, run.timer, &event)
        for _ in range(connections):
            self.open_road(tls)
        self.work(clock_ns() + <int64_t>(open_s * NANOSECONDS))
        if run.alive < connections or run.opening:
            self.close()
            refuse(Fault.UNAVAILABLE, "address", address, hint="no gRPC server answers there")

    cdef int open_road(self, Tls tls) except -1:
        cdef Run* run = &self.run
        cdef Road* road = &run.roads[run.road_count]
        cdef epoll_event event
        cdef int at, socket = connect_to(self.address)
        if link_begin(&road.link, socket, NULL if tls is None else tls.context, False):
            close(socket)
            raise MemoryError
        road.run = run
        road.is_alive = True
        run.road_count += 1  # so that it is freed from here on
        run.alive += 1
        run.opening += 1
        road.out = <uint8_t*>malloc(OUT_BYTES)
        road.calls = <Call*>calloc(run.streams, sizeof(Call))
        if road.out is NULL or road.calls is NULL or begin_session(road):
            raise MemoryError
        for at in range(run.streams - 1, -1, -1):
            road.calls[at].request = NOBODY
            road.calls[at].road = road
            road.calls[at].next_free = road.free
            road.free = &road.calls[at]
        road.polled = event.events = EPOLLIN
        event.data.ptr = road
        if epoll_ctl(run.epoll, EPOLL_CTL_ADD, socket, &event):
            raise MemoryError
        return 0

    cdef int work(self, int64_t deadline_ns) except -1:
        """Turn after turn, so that Ctrl-C is heard in between, and who watches is told."""
        cdef Run* run = &self.run
        cdef int64_t until_ns
        cdef int failed
        while True:  # at least once: what was called for in time is begun
            until_ns = min(clock_ns() + TURN_NS, deadline_ns)
            with nogil:
                failed = go_on(run, until_ns)
            if failed:
                raise MemoryError
            PyErr_CheckSignals()
            if self.watch is not None:
                self.watch(self.latencies_array[:run.next], self.statuses_array[:run.next])
            if is_done(run) or clock_ns() >= deadline_ns:
                return 0

    def send(self, str path not None, bytes requests not None, const int64_t[::1] offsets not None,
             *, const int64_t[::1] due_ns=None, double deadline_s=60.0, bint keep_answers=False,
             watch=None):
        """Send each request once, to the method `path`, and wait for the answers.

        Request i is ``requests[offsets[i]:offsets[i + 1]]``, a message without prefix. With
        `due_ns`, ascending, it is sent so many nanoseconds after the first instant (open loop);
        without, as soon as a stream is free (closed loop). What is not answered after `deadline_s`
        is given up, and its connection closed. A connection that ends is not opened again.
        About ten times a second `watch` is called with the latencies and statuses, as in the
        Outcome, of all that has been begun; to be read there and then. What it raises ends it all.
        Raises InvalidInputError.
        """
        if offsets.shape[0] < 1 or offsets[0] < 0 or offsets[offsets.shape[0] - 1] > len(requests):
            refuse(Fault.OUT_OF_RANGE, "offsets", hint="they must lie within the requests")
        if np.any(np.diff(offsets) < 0):
            refuse(Fault.OUT_OF_RANGE, "offsets", hint="they must ascend")
        if due_ns is not None and due_ns.shape[0] != offsets.shape[0] - 1:
            refuse(Fault.RAGGED, "due_ns", due_ns.shape[0], hint="as many as there are requests")
        if due_ns is not None and (np.any(np.diff(due_ns) < 0) or due_ns.shape[0] and due_ns[0] < 0):
            refuse(Fault.OUT_OF_RANGE, "due_ns", hint="they must ascend from zero")
        if not self.lock.acquire(blocking=False):
            raise RuntimeError("another thread is sending")
        try:
            self.watch = watch
            return self.sent(path, requests, offsets, due_ns, deadline_s, keep_answers)
        finally:
            self.forget()
            self.watch = self.latencies_array = self.statuses_array = None
            self.lock.release()

    cdef object sent(self, str path, bytes requests, const int64_t[::1] offsets,
                     const int64_t[::1] due_ns, double deadline_s, bint keep_answers):
        cdef Run* run = &self.run
        cdef Py_ssize_t count = offsets.shape[0] - 1
        self.latencies_array = np.full(count, -1, dtype=np.int64)
        self.statuses_array = np.full(count, CALL_UNSENT, dtype=np.int8)
        cdef int64_t[::1] latencies_ns = self.latencies_array
        cdef signed char[::1] statuses = self.statuses_array
        self.point_headers(path)
        run.requests = <const uint8_t*><const char*>requests
        run.offsets = &offsets[0]
        run.keeps = keep_answers
        run.lost = 0
        run.bytes_sent = run.bytes_received = 0
        if count:
            run.latencies_ns = &latencies_ns[0]
            run.statuses = &statuses[0]
            if due_ns is not None:
                run.due_ns = &due_ns[0]
        run.next = 0
        run.request_count = count
        run.start_ns = run.last_ns = run.now_ns = clock_ns()
        try:
            self.work(run.start_ns + <int64_t>(deadline_s * NANOSECONDS))
        finally:
            give_up(run)
        return Outcome(
            self.latencies_array,
            self.statuses_array,
            (run.last_ns - run.start_ns) / <double>NANOSECONDS,
            run.bytes_sent,
            run.bytes_received,
            run.lost,
            {at: unquote(run.said[at].text[:run.said[at].size])
             for at in range(STATUSES) if run.said[at].size},
            run.kept.data[:run.kept.size] if run.kept.size else b"",
        )

    cdef int point_headers(self, str path) except -1:
        """Let the headers point at bytes that live as long as calls are sent."""
        cdef Run* run = &self.run
        cdef uint8_t* at
        pairs = [(name.encode(), (value if name != ":path" else path).encode())
                 for name, value in self.fields]
        self.keep_alive = b"".join([part for pair in pairs for part in pair])
        at = <uint8_t*><char*>self.keep_alive
        run.header_count = len(pairs)
        for number, (name, value) in enumerate(pairs):
            run.headers[number].name = at
            run.headers[number].namelen = len(name)
            run.headers[number].value = at + len(name)
            run.headers[number].valuelen = len(value)
            run.headers[number].flags = (
                NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE)
            at += len(name) + len(value)
        return 0

    cdef void forget(self) noexcept nogil:
        """What belonged to one sending."""
        cdef Run* run = &self.run
        cdef int at
        bytes_end(&run.kept)
        run.due_ns = NULL
        run.request_count = run.next = 0
        run.out_of_memory = False
        for at in range(STATUSES):
            run.said[at].size = 0

    def close(self):
        """End all connections; once more is nothing."""
        cdef int at
        for at in range(self.run.road_count):
            end_road(&self.run.roads[at])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __dealloc__(self):
        cdef Run* run = &self.run
        cdef int at
        for at in range(run.road_count):
            free_road(&run.roads[at])
        free(run.roads)
        free(run.headers)
        bytes_end(&run.kept)
        scraps_end(&run.scraps)
        if run.epoll >= 0:
            close(run.epoll)
        if run.timer >= 0:
            close(run.timer)


cdef int within(str field, int value, int most) except -1:
    if not 1 <= value <= most:
        refuse(Fault.OUT_OF_RANGE, field, value, hint=f"from 1 to {most:,}")
    return 0
