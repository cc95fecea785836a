"""What one connection of a load does: calls are begun, carried and settled; without the GIL.

    requests [order|order|...] --begin--> Call: waits on a stream of its Road --settle--> statuses[]
                                          |                                               latencies[]
                                          session (libnghttp2): frames
                                          link: plain or TLS

Invariant: a call is in the list `free` of its road, or has a request; and every request that was
begun is settled once, by its answer or by the end of its stream or connection.
"""
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t
from libc.stdlib cimport free
from libc.string cimport memcmp, memcpy

from fendan.engine.link cimport LINK_AGAIN, link_end, link_read, link_speaks_h2, link_write
from fendan.engine.epoll cimport EPOLL_CTL_MOD, EPOLLIN, EPOLLOUT, epoll_ctl, epoll_event
from fendan.engine.nghttp2 cimport *
from fendan.engine.protocol cimport PREFIX_BYTES
from fendan.engine.streams cimport bytes_add, bytes_end
from fendan.engine.timers cimport clock_ns

cdef extern from "nghttp2/nghttp2.h" nogil:
    int nghttp2_session_client_new3(
        nghttp2_session** session, const nghttp2_session_callbacks* callbacks, void* user_data,
        const nghttp2_option* option, nghttp2_mem* memory)
    void nghttp2_option_set_peer_max_concurrent_streams(nghttp2_option* option, uint32_t streams)
    void nghttp2_option_set_no_http_messaging(nghttp2_option* option, int value)
    int32_t nghttp2_submit_request(
        nghttp2_session* session, const void* priority, const nghttp2_nv* headers, size_t count,
        const nghttp2_data_provider* data, void* stream_user_data)
    int NGHTTP2_SETTINGS_ENABLE_PUSH
    int nghttp2_session_check_request_allowed(nghttp2_session* session)

# Frames are gathered up to here; one more, of 16 KiB and its head, still fits into OUT_BYTES.
cdef size_t OUT_MARK = 64 * 1024
# Answers are never held back: we read all there is.
cdef int WINDOW_BYTES = 16 * 1024 * 1024


# -- WHAT LIBNGHTTP2 TELLS ----------------------------------------------------------------------


cdef int hear_header(nghttp2_session* session, const nghttp2_frame* frame, const uint8_t* name,
                     size_t name_bytes, const uint8_t* value, size_t value_bytes, uint8_t flags,
                     void* data) noexcept nogil:
    cdef Call* call
    cdef Road* road = <Road*>data
    cdef int status = 0
    if name_bytes == 11 and memcmp(name, b"grpc-status", 11) == 0:
        call = <Call*>nghttp2_session_get_stream_user_data(session, frame.hd.stream_id)
        if call is NULL:
            return 0
        for at in range(value_bytes):
            status = min(10 * status + (value[at] - 48), STATUSES)
        call.status = status if 0 <= status < STATUSES and value_bytes else 2  # UNKNOWN
    elif name_bytes == 12 and memcmp(name, b"grpc-message", 12) == 0:
        road.said_on = frame.hd.stream_id
        road.said_bytes = min(value_bytes, <size_t>SAID_BYTES)
        memcpy(road.said, value, road.said_bytes)
    return 0


cdef int hear_data(nghttp2_session* session, uint8_t flags, int32_t stream, const uint8_t* data,
                   size_t size, void* context) noexcept nogil:
    cdef Call* call = <Call*>nghttp2_session_get_stream_user_data(session, stream)
    cdef Run* run = (<Road*>context).run
    if run.keeps and call is not NULL and not bytes_add(&call.answer, data, size):
        run.out_of_memory = True
    return 0


cdef int hear_frame(nghttp2_session* session, const nghttp2_frame* frame,
                    void* data) noexcept nogil:
    cdef Road* road = <Road*>data
    if frame.hd.type == NGHTTP2_SETTINGS and not road.is_ready:
        road.is_ready = True
        road.run.opening -= 1
    return 0


cdef int hear_end(nghttp2_session* session, int32_t stream, uint32_t error,
                  void* data) noexcept nogil:
    cdef Road* road = <Road*>data
    cdef Call* call = <Call*>nghttp2_session_get_stream_user_data(session, stream)
    cdef Said* said
    if call is NULL:
        return 0
    if call.status > 0 and road.said_on == stream:
        said = &road.run.said[call.status]
        if said.size == 0:
            said.size = road.said_bytes
            memcpy(said.text, road.said, road.said_bytes)
    settle(call)
    call.next_free = road.free
    road.free = call
    return 0


cdef Py_ssize_t give_request(nghttp2_session* session, int32_t stream, uint8_t* into, size_t room,
                             uint32_t* flags, nghttp2_data_source* source,
                             void* data) noexcept nogil:
    """The next bytes of a request: its prefix, and then itself."""
    cdef Call* call = <Call*>source.ptr
    cdef Run* run = call.road.run
    cdef const uint8_t* message = run.requests + run.offsets[call.request]
    cdef size_t size = run.offsets[call.request + 1] - run.offsets[call.request]
    cdef size_t given = 0, part
    while call.sent < PREFIX_BYTES and given < room:
        # Never compressed; then four bytes, the highest first.
        into[given] = 0 if call.sent == 0 else <uint8_t>(size >> 8 * (4 - call.sent))
        call.sent += 1
        given += 1
    if call.sent >= PREFIX_BYTES:
        part = min(room - given, PREFIX_BYTES + size - call.sent)
        memcpy(into + given, message + call.sent - PREFIX_BYTES, part)
        call.sent += part
        given += part
        if call.sent == PREFIX_BYTES + size:
            flags[0] |= NGHTTP2_DATA_FLAG_EOF
    return <Py_ssize_t>given


# -- CALLS --------------------------------------------------------------------------------------


cdef void settle(Call* call) noexcept nogil:
    """Write down what came of a call, which is then free."""
    cdef Run* run = call.road.run
    cdef Bytes* answer = &call.answer
    if call.status == 0 and answer.size > PREFIX_BYTES and not bytes_add(
            &run.kept, answer.data + PREFIX_BYTES, answer.size - PREFIX_BYTES):
        run.out_of_memory = True
    answer.size = 0
    run.statuses[call.request] = <signed char>call.status
    if call.status != CALL_UNANSWERED:
        run.latencies_ns[call.request] = run.now_ns - call.began_ns
        run.last_ns = run.now_ns
    call.request = NOBODY
    run.in_flight -= 1


cdef bint can_begin(Road* road) noexcept nogil:
    return (road.is_alive and road.free is not NULL
            and nghttp2_session_check_request_allowed(road.session))


cdef void begin(Road* road, int64_t since_ns) noexcept nogil:
    """Send the next request on a road that can."""
    cdef Run* run = road.run
    cdef Call* call = road.free
    cdef nghttp2_data_provider body
    call.request = run.next
    call.began_ns = since_ns
    call.sent = 0
    call.status = CALL_UNANSWERED
    road.free = call.next_free
    run.next += 1
    run.in_flight += 1
    body.source.ptr = call
    body.read_callback = give_request
    if nghttp2_submit_request(
            road.session, NULL, run.headers, run.header_count, &body, call) < 0:
        end_road(road)


cdef bint begin_all(Road* road) noexcept nogil:
    """The closed loop: all that one road can send; False where nobody hears it any more.

    Each request becomes frames at once: so it stands whole in the stream of bytes, as those of
    callers who know nothing of each other do, and its call is looked up while it is at hand.
    """
    cdef Run* run = road.run
    if run.due_ns is not NULL or run.next >= run.request_count or not can_begin(road):
        return True
    run.now_ns = clock_ns()
    while run.next < run.request_count and can_begin(road):
        begin(road, run.now_ns)
        if not road.is_alive or not gather(road):
            return False
        if road.out_end >= OUT_MARK and not road.link.wants_write:
            if not send_out(road):
                return False
            run.now_ns = clock_ns()
    return True


# -- ROADS --------------------------------------------------------------------------------------


cdef void end_road(Road* road) noexcept nogil:
    """Close a connection; what was under way on it is settled as not answered."""
    cdef Run* run = road.run
    cdef int at
    if not road.is_alive:
        return
    road.is_alive = False
    run.alive -= 1
    run.opening -= not road.is_ready
    run.lost += 1
    for at in range(run.streams if road.calls is not NULL else 0):
        if road.calls[at].request != NOBODY:
            road.calls[at].status = CALL_UNANSWERED
            settle(&road.calls[at])
    nghttp2_session_del(road.session)
    road.session = NULL
    link_end(&road.link)  # and epoll forgets it


cdef void free_road(Road* road) noexcept nogil:
    """End it, and give back its memory."""
    cdef int at
    end_road(road)
    if road.calls is not NULL:
        for at in range(road.run.streams):
            bytes_end(&road.calls[at].answer)
    free(road.calls)
    free(road.out)


cdef bint take_in(Road* road, uint8_t* room) noexcept nogil:
    """Hear all that the server has said, and go on; False where that was the last."""
    cdef Py_ssize_t got
    while True:
        got = link_read(&road.link, room, IN_BYTES)
        if got == LINK_AGAIN:
            return not road.link.is_open or link_speaks_h2(&road.link)
        if got <= 0:
            return False
        road.run.now_ns = clock_ns()
        road.run.bytes_received += got
        if nghttp2_session_mem_recv(road.session, room, got) < 0 or not begin_all(road):
            return False
        if road.link.tls is NULL and got < <Py_ssize_t>IN_BYTES:
            return True  # what comes from now on, epoll tells of


cdef bint gather(Road* road) noexcept nogil:
    """Have frames written to `out`, as many as there is room for; False where that cannot be."""
    cdef const uint8_t* frame
    cdef Py_ssize_t size
    while road.out_end < OUT_MARK:
        size = nghttp2_session_mem_send(road.session, &frame)
        if size < 0 or size > <Py_ssize_t>(OUT_BYTES - road.out_end):
            return False
        if size == 0:
            break
        memcpy(road.out + road.out_end, frame, size)
        road.out_end += size
    return True


cdef bint send_out(Road* road) noexcept nogil:
    """Write all that the socket takes; False where nobody hears it any more."""
    cdef Py_ssize_t sent
    while True:
        if not gather(road):
            return False
        if road.out_begin == road.out_end:
            return True
        sent = link_write(&road.link, road.out + road.out_begin, road.out_end - road.out_begin)
        if sent == LINK_AGAIN:
            return True
        if sent < 0:
            return False
        road.out_begin += sent
        road.run.bytes_sent += sent
        if road.out_begin == road.out_end:
            road.out_begin = road.out_end = 0


cdef void look_at(Road* road, uint8_t* room) noexcept nogil:
    """Read, begin, write."""
    if not road.is_alive:
        return
    if not take_in(road, room) or not begin_all(road):
        end_road(road)
        return
    flush(road)


cdef void flush(Road* road) noexcept nogil:
    """Write, and say what is waited for."""
    cdef epoll_event event
    if not road.is_alive:
        return
    if not send_out(road) or not (nghttp2_session_want_read(road.session)
                                  or nghttp2_session_want_write(road.session)):
        end_road(road)
        return
    event.events = EPOLLIN | (EPOLLOUT if road.link.wants_write else 0)
    if event.events != road.polled:
        road.polled = event.events
        event.data.ptr = road
        epoll_ctl(road.run.epoll, EPOLL_CTL_MOD, road.link.socket, &event)


# -- THE SESSION --------------------------------------------------------------------------------


cdef int begin_session(Road* road) noexcept nogil:
    """Libnghttp2's part of a road; -1: no memory."""
    cdef nghttp2_session_callbacks* callbacks = NULL
    cdef nghttp2_option* option = NULL
    cdef nghttp2_settings_entry[2] settings
    cdef int failed = nghttp2_session_callbacks_new(&callbacks) or nghttp2_option_new(&option)
    if not failed:
        nghttp2_session_callbacks_set_on_header_callback(callbacks, hear_header)
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, hear_data)
        nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, hear_frame)
        nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, hear_end)
        # Until the server says how many it takes; what is more than that waits in the library.
        nghttp2_option_set_peer_max_concurrent_streams(option, road.run.streams)
        nghttp2_option_set_no_closed_streams(option, 1)
        # Whether answers are good HTTP is for tests to say, and takes time from the server here.
        nghttp2_option_set_no_http_messaging(option, 1)
        failed = nghttp2_session_client_new3(
            &road.session, callbacks, road, option, &road.run.scraps.memory)
    nghttp2_session_callbacks_del(callbacks)
    nghttp2_option_del(option)
    if failed:
        return -1
    settings[0].settings_id = NGHTTP2_SETTINGS_ENABLE_PUSH
    settings[0].value = 0
    settings[1].settings_id = NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE
    settings[1].value = WINDOW_BYTES
    if (nghttp2_submit_settings(road.session, NGHTTP2_FLAG_NONE, settings, 2)
            or nghttp2_session_set_local_window_size(
                road.session, NGHTTP2_FLAG_NONE, 0, WINDOW_BYTES)):
        return -1
    return 0
