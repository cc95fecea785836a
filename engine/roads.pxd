"""What one connection of a load does: calls are begun, carried and settled."""
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t

from fendan.engine.link cimport Link
from fendan.engine.nghttp2 cimport nghttp2_nv, nghttp2_session
from fendan.engine.protocol cimport MOST_STATUS
from fendan.engine.scraps cimport Scraps
from fendan.engine.streams cimport Bytes

cdef enum:
    STATUSES = MOST_STATUS + 1
    SAID_BYTES = 256    # of an error's words; what is longer is cut
    NOBODY = -1         # asks by this call
    IN_BYTES = 64 * 1024    # read at a time
    OUT_BYTES = 96 * 1024   # written at a time, or less

cdef enum:
    CALL_UNANSWERED = -1    # sent; the stream, the connection or the time ended before the answer
    CALL_UNSENT = -2        # there was nobody left to send it to, or no time


cdef struct Road
cdef struct Run


cdef struct Call:
    int64_t request     # which; NOBODY: the call is free
    int64_t began_ns    # when it was sent; in an open loop, when it was due
    size_t sent         # bytes of the request, with its prefix
    Bytes answer        # as far as it has come, where answers are kept
    int status          # grpc-status; CALL_UNANSWERED: not told yet
    Road* road
    Call* next_free


cdef struct Road:
    Link link
    nghttp2_session* session
    Run* run
    Call* calls         # `streams` of them
    Call* free
    uint8_t* out        # frames that wait to be written: [out_begin, out_end)
    size_t out_begin, out_end
    bint is_ready       # the server has sent its settings
    bint is_alive
    uint32_t polled     # what epoll waits for
    int32_t said_on     # the stream whose grpc-message is in `said`
    size_t said_bytes
    char[SAID_BYTES] said


cdef struct Said:
    size_t size
    char[SAID_BYTES] text


cdef struct Run:
    # For every send.
    Road* roads
    int road_count, streams, in_flight
    int alive, opening      # roads; and those of them whose server has not said anything yet
    int epoll, timer
    int64_t wake_ns         # what the timer is set to
    nghttp2_nv* headers
    size_t header_count
    Scraps scraps
    # For one.
    const uint8_t* requests
    const int64_t* offsets
    const int64_t* due_ns   # NULL: a closed loop
    int64_t* latencies_ns
    signed char* statuses
    int64_t request_count, next, start_ns, now_ns, last_ns
    int64_t bytes_sent, bytes_received
    int lost, turn          # roads that ended; and whose turn it is in an open loop
    bint keeps, out_of_memory
    Bytes kept              # the answers, in the order of arrival, without their prefixes
    Said[STATUSES] said


cdef int begin_session(Road* road) noexcept nogil       # -1: no memory
cdef bint can_begin(Road* road) noexcept nogil
cdef void begin(Road* road, int64_t since_ns) noexcept nogil
cdef void look_at(Road* road, uint8_t* room) noexcept nogil
cdef void flush(Road* road) noexcept nogil
cdef void end_road(Road* road) noexcept nogil
cdef void free_road(Road* road) noexcept nogil
