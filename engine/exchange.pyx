"""One call: its messages to the queue, its answers to libnghttp2, and how it ends.

    hear, read_on   what has come of messages; whole ones wait in the queue
    half_close      a unary call's message goes now: nothing may follow it
    settle          answers are collected, libnghttp2 fetches them as far as the peer lets it
    end_call        a status instead of an answer ("trailers only"), or behind the answers

No function here waits or takes the GIL.
"""
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t
from libc.stdlib cimport malloc
from libc.string cimport memcpy, memset, strlen

from fendan.engine.nghttp2 cimport *
from fendan.engine.protocol cimport PREFIX_BYTES, Prefix, is_plain, prefix_of
from fendan.engine.streams cimport (
    ROUTE,
    STAGE_DEAF,
    STAGE_ENDED,
    STAGE_MESSAGES,
    STREAM,
    Bytes,
    bytes_add,
    bytes_left,
    bytes_take,
    mark_gone,
    stream_release,
)
from fendan.engine.timers cimport NANOSECONDS, timer_unset
from fendan.engine.queue cimport (
    FATE_ANSWERED,
    FATE_ENDED,
    FATE_LATE,
    GATHERED_BYTES,
    Entry,
    queue_put,
)

cdef enum:
    OK = 0
    DEADLINE_EXCEEDED = 4
    INTERNAL_STATUS = 13


# -- HEADERS TO SEND ---------------------------------------------------------------------------

cdef inline nghttp2_nv header(const char* name, const char* value) noexcept nogil:
    cdef nghttp2_nv made
    made.name, made.namelen = <uint8_t*>name, strlen(name)
    made.value, made.valuelen = <uint8_t*>value, strlen(value)
    made.flags = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE
    return made


cdef inline nghttp2_nv header_of(
        const char* name, const uint8_t* value, size_t size) noexcept nogil:
    """Its value is copied."""
    cdef nghttp2_nv made = header(name, b"")
    made.value, made.valuelen = <uint8_t*>value, size
    made.flags = NGHTTP2_NV_FLAG_NO_COPY_NAME
    return made


cdef const char* STATUS_TEXTS[STATUSES]
STATUS_TEXTS[:] = [
    b"0", b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"8", b"9", b"10", b"11", b"12", b"13", b"14",
    b"15", b"16",
]


cdef int put_last(Stream* stream, const uint8_t* text, nghttp2_nv* headers) noexcept nogil:
    """How the call ends: one to three headers."""
    cdef int count = 1
    headers[0] = header(b"grpc-status", STATUS_TEXTS[stream.status])
    if stream.last_size:
        headers[count] = header_of(b"grpc-message", text, stream.last_size)
        count += 1
    if stream.details_size:
        headers[count] = header_of(
            b"grpc-status-details-bin", text + stream.last_size, stream.details_size)
        count += 1
    return count


# -- WHAT A CONNECTION HOLDS -------------------------------------------------------------------

cdef inline void hold(Connection* connection, int64_t more) noexcept nogil:
    connection.held_bytes += more
    connection.house.counts.held_bytes += more


cdef void make_dirty(Connection* connection) noexcept nogil:
    """Look, before the loop waits again, whether it has something to send."""
    if not connection.is_dirty:
        connection.is_dirty = True
        connection.next_dirty = connection.house.dirty
        connection.house.dirty = connection


cdef void hang_up(Connection* connection, uint32_t error_code, const char* why) noexcept nogil:
    if connection.is_hung_up:
        return
    connection.is_hung_up = True
    connection.house.counts.hung_up += error_code != NGHTTP2_NO_ERROR
    nghttp2_submit_goaway(
        connection.session, NGHTTP2_FLAG_NONE,
        nghttp2_session_get_last_proc_stream_id(connection.session), error_code,
        <const uint8_t*>why, strlen(why))
    make_dirty(connection)


cdef void spend(Connection* connection) noexcept nogil:
    """The peer sent something that brings nothing. It may, but not for ever."""
    cdef House* house = connection.house
    cdef int64_t most = most_patience(house)
    connection.patience -= 1
    if connection.patience >= 0:
        return
    connection.patience += min(
        most, (house.now_ns - connection.patience_ns) * PATIENCE_PER_S // NANOSECONDS)
    connection.patience_ns = house.now_ns
    if connection.patience < 0:
        hang_up(connection, NGHTTP2_ENHANCE_YOUR_CALM, b"too_many_frames")


# -- HOW A CALL ENDS ---------------------------------------------------------------------------

cdef void resume(Stream* stream) noexcept nogil:
    """There is something to fetch: begin the answer, or go on with it."""
    cdef Connection* connection = <Connection*>stream.connection
    cdef nghttp2_nv headers[2]
    cdef nghttp2_data_provider data
    if not stream.has_begun:
        stream.has_begun = True
        headers[0] = header(b":status", b"200")
        headers[1] = header(b"content-type", b"application/grpc")
        data.source.ptr, data.read_callback = stream, fetch
        nghttp2_submit_response(connection.session, stream.id, headers, 2, &data)
    elif stream.is_deferred:
        stream.is_deferred = False
        nghttp2_session_resume_data(connection.session, stream.id)
    make_dirty(connection)


cdef Py_ssize_t fetch(
        nghttp2_session* session, int32_t stream_id, uint8_t* into, size_t room,
        uint32_t* flags, nghttp2_data_source* source, void* user_data) noexcept nogil:
    """Give libnghttp2 what it may send now; behind the last answer, the trailers."""
    cdef Stream* stream = <Stream*>source.ptr
    cdef int64_t left = bytes_left(&stream.outgoing), size = min(left, <int64_t>room)
    cdef nghttp2_nv headers[3]
    (<Connection*>user_data).recent = stream
    if not left and not stream.is_finished:
        stream.is_deferred = True
        return NGHTTP2_ERR_DEFERRED
    if size:
        memcpy(into, stream.outgoing.data + stream.outgoing.at, size)
        bytes_take(&stream.outgoing, size)
        hold(<Connection*>user_data, -size)
        if left - size < MOST_UNSENT_BYTES <= left and stream.stage == STAGE_MESSAGES:
            read_on(<Connection*>user_data, stream)  # which had stopped
    if size == left and stream.is_finished:
        flags[0] |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM
        nghttp2_submit_trailer(
            session, stream_id, headers, put_last(stream, stream.last_words, headers))
    return size


cdef void finish(Stream* stream, uint8_t status) noexcept nogil:
    """No message of it is of interest any more, and no answer."""
    stream.stage, stream.status = STAGE_ENDED, status
    mark_gone(stream)
    timer_unset(&stream.timer)


cdef void end_call(
        Stream* stream, uint8_t status, const uint8_t* text, uint32_t size,
        uint32_t details_size, bint tells_encodings) noexcept nogil:
    """End it with a status and words, once what was answered before is sent."""
    cdef nghttp2_nv headers[6]
    cdef int count = 2
    if stream.stage == STAGE_ENDED:
        return
    finish(stream, status)
    stream.last_size, stream.details_size = size, details_size
    if stream.has_begun:
        stream.last_words = <uint8_t*>malloc(size + details_size + 1)
        if stream.last_words == NULL:
            stream.last_size = stream.details_size = 0
        else:
            memcpy(stream.last_words, text, size + details_size)
        stream.is_finished = True
        resume(stream)
        return
    headers[0] = header(b":status", b"200")
    headers[1] = header(b"content-type", b"application/grpc")
    if tells_encodings:
        headers[count] = header(b"grpc-accept-encoding", b"identity")
        count += 1
    count += put_last(stream, text, &headers[count])
    nghttp2_submit_response(
        (<Connection*>stream.connection).session, stream.id, headers, count, NULL)
    make_dirty(<Connection*>stream.connection)


cdef void end_with(Stream* stream, int ending) noexcept nogil:
    cdef Words* words = &(<Connection*>stream.connection).house.endings[ending]
    end_call(stream, words.status, words.text, words.size, words.details_size,
             ending == BAD_ENCODING)


cdef void end_in_http(Stream* stream, const char* http_status) noexcept nogil:
    """It is no gRPC: say so in HTTP."""
    cdef nghttp2_nv headers[1]
    finish(stream, INTERNAL_STATUS)
    headers[0] = header(b":status", http_status)
    nghttp2_submit_response(
        (<Connection*>stream.connection).session, stream.id, headers, 1, NULL)
    make_dirty(<Connection*>stream.connection)


cdef void reset(Stream* stream, uint32_t error_code) noexcept nogil:
    nghttp2_submit_rst_stream(
        (<Connection*>stream.connection).session, NGHTTP2_FLAG_NONE, stream.id, error_code)
    make_dirty(<Connection*>stream.connection)


cdef void stream_late(House* house, Stream* stream) noexcept nogil:
    if stream.stage == STAGE_ENDED:
        return
    if stream.has_begun:  # answers before it may be stuck, and then so would trailers be
        finish(stream, DEADLINE_EXCEEDED)
        reset(stream, NGHTTP2_CANCEL)
    else:
        end_with(stream, LATE)


# -- MESSAGES ----------------------------------------------------------------------------------

cdef inline bint has_room(const House* house, int64_t size) noexcept nogil:
    """Whether one more message may wait: always, where there is none."""
    cdef const Counts* counts = &house.counts
    return not counts.waiting or (counts.waiting < house.limits.queue_messages and
                                  counts.waiting_bytes + size <= house.limits.queue_bytes)


cdef bint put(Stream* stream, const uint8_t* data, uint32_t size, uint8_t* owned) noexcept nogil:
    cdef House* house = (<Connection*>stream.connection).house
    cdef bint plain = stream.kind == ROUTE and owned == NULL and is_plain(data, size)
    if not queue_put(&house.queue, stream, data, size, owned, plain, house.now_ns):
        return False
    stream.waiting += 1
    stream.waiting_bytes += size
    house.counts.waiting += 1
    house.counts.waiting_bytes += size
    house.has_news = True
    return True


cdef bint prefix_is_good(Stream* stream, Prefix prefix) noexcept nogil:
    """If it is not, the call has ended."""
    if prefix.flag:
        end_with(stream, BAD_PREFIX)
    elif prefix.size > (<Connection*>stream.connection).house.limits.message_bytes:
        end_with(stream, TOO_LARGE)
    return stream.stage != STAGE_ENDED


cdef void put_only(Connection* connection, Stream* stream) noexcept nogil:
    """The message of a unary call is whole."""
    cdef Bytes* received = &stream.received
    cdef uint32_t size = prefix_of(received.data).size
    cdef bint is_large = size > GATHERED_BYTES
    if not has_room(connection.house, size) or not put(
            stream, received.data + PREFIX_BYTES, size, received.data if is_large else NULL):
        end_with(stream, BUSY)
        return
    stream.stage = STAGE_DEAF
    hold(connection, -received.size)
    if is_large:
        memset(received, 0, sizeof(Bytes))
    received.at = received.size = 0


cdef void read_on(Connection* connection, Stream* stream) noexcept nogil:
    """Put what is whole of a stream's messages, but no more than may wait for an answer, or with it."""
    cdef Bytes* received = &stream.received
    cdef Prefix prefix
    cdef const uint8_t* at
    while (stream.waiting < MOST_MESSAGES and stream.waiting_bytes < MOST_WAITING_BYTES
           and bytes_left(&stream.outgoing) < MOST_UNSENT_BYTES):
        at = received.data + received.at
        if bytes_left(received) < PREFIX_BYTES:
            break
        prefix = prefix_of(at)
        if not prefix_is_good(stream, prefix):
            return
        if bytes_left(received) < PREFIX_BYTES + <int64_t>prefix.size:
            break
        # The first may always wait: no answer would come to go on with.
        if stream.waiting and not has_room(connection.house, prefix.size):
            return
        if not put(stream, at + PREFIX_BYTES, prefix.size, NULL):
            end_with(stream, BUSY)
            return
        bytes_take(received, PREFIX_BYTES + <int64_t>prefix.size)
        hold(connection, -(PREFIX_BYTES + <int64_t>prefix.size))
    else:
        return  # as long as it is not read, its peer gets no new window
    if stream.unconsumed:
        nghttp2_session_consume_stream(connection.session, stream.id, stream.unconsumed)
        stream.unconsumed = 0
        make_dirty(connection)
    if stream.is_half_closed:
        if bytes_left(received):
            end_with(stream, CUT_OFF)
        elif not stream.waiting:
            finish(stream, OK)
            stream.is_finished = True
            resume(stream)


cdef void hear(Connection* connection, Stream* stream) noexcept nogil:
    """More of a unary call's message has come: say at once what is wrong with it."""
    cdef Bytes* received = &stream.received
    cdef Prefix prefix
    if received.size < PREFIX_BYTES:
        return
    prefix = prefix_of(received.data)
    if prefix_is_good(stream, prefix) and received.size > PREFIX_BYTES + <int64_t>prefix.size:
        end_with(stream, MANY_MESSAGES)


cdef void half_close(Connection* connection, Stream* stream) noexcept nogil:
    """The client has said all."""
    cdef Bytes* received = &stream.received
    stream.is_half_closed = True
    if stream.stage != STAGE_MESSAGES:
        return
    if stream.kind == STREAM:
        read_on(connection, stream)
    elif not received.size:
        end_with(stream, NO_MESSAGE)
    elif received.size < PREFIX_BYTES or (
            received.size < PREFIX_BYTES + <int64_t>prefix_of(received.data).size):
        end_with(stream, CUT_OFF)
    else:
        put_only(connection, stream)


# -- ANSWERS -----------------------------------------------------------------------------------

cdef void answer(Stream* stream, const uint8_t* data, int64_t size) noexcept nogil:
    if not bytes_add(&stream.outgoing, data, size):
        finish(stream, INTERNAL_STATUS)
        reset(stream, NGHTTP2_INTERNAL_ERROR)
        return
    hold(<Connection*>stream.connection, size)
    if stream.kind != STREAM:
        finish(stream, OK)
        stream.is_finished = True
    resume(stream)


cdef void settle_entry(Block* block, Entry* entry) noexcept nogil:
    cdef Stream* stream = entry.stream
    cdef const uint8_t* text = block.answers.data + entry.answer_at
    if stream.stage == STAGE_ENDED:
        return  # by its client, its deadline or an answer before this one
    stream.waiting -= 1
    stream.waiting_bytes -= entry.size
    if entry.fate == FATE_ANSWERED:
        answer(stream, text, entry.answer_size)
    elif entry.fate == FATE_ENDED:
        end_call(stream, entry.status, text, entry.answer_size, entry.details_size, False)
    else:
        end_with(stream, LATE if entry.fate == FATE_LATE else INTERNAL)
    if stream.kind == STREAM and stream.stage == STAGE_MESSAGES:
        read_on(<Connection*>stream.connection, stream)
    elif stream.kind == STREAM and stream.stage == STAGE_DEAF and not stream.waiting:
        end_with(stream, DRAINING)


cdef void settle(House* house, Block* block, Entry* entry) noexcept nogil:
    house.counts.waiting -= 1
    house.counts.waiting_bytes -= entry.size
    settle_entry(block, entry)
    stream_release(&house.pool, entry.stream)


cdef void drain_streams(Connection* connection) noexcept nogil:
    cdef Stream* stream = connection.streams
    while stream != NULL:
        if stream.kind == STREAM and stream.stage == STAGE_MESSAGES:
            if stream.waiting:
                stream.stage = STAGE_DEAF
            else:
                end_with(stream, DRAINING)
        stream = stream.next
