"""One connection's HTTP/2: libnghttp2 reads frames, and this module says what they mean here.

    HEADERS     on_header       looked at one by one, none is kept
                begin_call      the call begins, or ends at once
    DATA        on_data         collected until a message is whole
    RST_STREAM  on_close        as any other end: who is in the queue is left out there
    PING        on_ping         not too often

No function here waits, reads a socket or takes the GIL, so a fuzzer can feed it from memory.
"""
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from fendan.engine.exchange cimport (
    BAD_ENCODING,
    BAD_HEADER,
    BAD_TIMEOUT,
    BIG_HEADERS,
    BUSY,
    CONNECTION_WINDOW_BYTES,
    DRAINING,
    LATE,
    MOST_HEADERS,
    MOST_TOKEN_BYTES,
    NO_TOKEN,
    NOT_SERVED,
    STATUSES,
    STREAM_WINDOW_BYTES,
    UNKNOWN_TOKEN,
    end_in_http,
    end_with,
    finish,
    half_close,
    hang_up,
    has_room,
    hear,
    hold,
    most_patience,
    put,
    read_on,
    spend,
)
from fendan.engine.meter cimport BUCKETS, bucket_of
from fendan.engine.nghttp2 cimport *
from fendan.engine.protocol cimport bearer_size, is_grpc, timeout_ns
from fendan.engine.streams cimport (
    OTHER_METHOD,
    STAGE_DEAF,
    STAGE_ENDED,
    STAGE_MESSAGES,
    STREAM,
    Stream,
    bytes_add,
    bytes_left,
    stream_release,
    stream_take,
)
from fendan.engine.timers cimport timer_set, timer_unset
from fendan.engine.tokens cimport Token, token_find

cdef extern from *:
    """
    #include <nghttp2/nghttp2.h>
    /* Not in every release that is otherwise new enough; NULL where it is not. */
    #pragma weak nghttp2_option_set_stream_reset_rate_limit
    extern void nghttp2_option_set_stream_reset_rate_limit(nghttp2_option *option, uint64_t burst,
                                                           uint64_t rate);
    static void fendan_http2_allow_resets(nghttp2_option *option, uint64_t most) {
        if (nghttp2_option_set_stream_reset_rate_limit) {
            nghttp2_option_set_stream_reset_rate_limit(option, most, most);
        }
    }
    """
    # Our own limit is to be reached first, since it knows which resets are honest.
    void allow_resets "fendan_http2_allow_resets"(nghttp2_option* option, uint64_t most) noexcept nogil

cdef extern from "<openssl/crypto.h>" nogil:
    int CRYPTO_memcmp(const void* one, const void* other, size_t size)

cdef enum:
    CANCELLED = 1
    DEADLINE_EXCEEDED = 4
    # Pings of a client that came too early, before it is hung up on; as gRPC has it.
    MOST_STRIKES = 2
    # A client whose deadline passes cancels the call, and mostly before it passes here; as on the
    # other port.
    DEADLINE_SLACK_NS = 20_000_000


cdef inline bint same(
        const uint8_t* text, size_t size, const char* words, size_t count) noexcept nogil:
    return size == count and memcmp(text, words, count) == 0


# -- HEADERS -----------------------------------------------------------------------------------

cdef inline Stream* stream_of(Connection* connection, int32_t stream_id) noexcept nogil:
    """The stream of a frame, which mostly is that of the frame before; NULL: there is none."""
    if connection.recent == NULL or connection.recent.id != stream_id:
        connection.recent = <Stream*>nghttp2_session_get_stream_user_data(
            connection.session, stream_id)
    return connection.recent


cdef int on_begin_headers(
        nghttp2_session* session, const nghttp2_frame* frame, void* user_data) noexcept nogil:
    cdef Connection* connection = <Connection*>user_data
    cdef House* house = connection.house
    cdef Stream* stream
    if frame.hd.type != NGHTTP2_HEADERS or frame.headers.cat != NGHTTP2_HCAT_REQUEST:
        return 0  # trailers, of which gRPC's clients have none
    stream = stream_take(&house.pool)
    if stream == NULL:
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE
    stream.connection, stream.id, stream.began_ns = connection, frame.hd.stream_id, house.now_ns
    stream.is_allowed = True
    stream.next = connection.streams
    if connection.streams != NULL:
        connection.streams.previous = stream
    connection.streams = connection.heading = connection.recent = stream
    connection.stream_count += 1
    house.counts.streams += 1
    nghttp2_session_set_stream_user_data(session, stream.id, stream)
    return 0


cdef const Token* find_token(
        Connection* connection, const uint8_t* text, size_t size) noexcept nogil:
    """The token with this text, which is mostly the same one as before."""
    cdef const Token* found
    if connection.token_found != NULL and size == connection.token_size and (
            CRYPTO_memcmp(connection.token, text, size) == 0):
        return connection.token_found
    found = token_find(&connection.house.tokens, text, size)
    if found != NULL and size <= MOST_TOKEN_BYTES:
        connection.token_found, connection.token_size = found, size
        memcpy(connection.token, text, size)
    return found


cdef void on_authorization(
        Connection* connection, Stream* stream, const uint8_t* value, size_t size) noexcept nogil:
    cdef size_t before = bearer_size(value, size)
    cdef const Token* token
    if not connection.house.tokens.are_asked_for:
        return
    if not before or stream.has_authorization:
        stream.wrong = BAD_HEADER + 1
        return
    stream.has_authorization = True
    token = find_token(connection, value + before, size - before)
    if token == NULL:
        stream.wrong = UNKNOWN_TOKEN + 1
        return
    stream.caller, stream.allowed = token.index, token.methods


cdef void on_path(House* house, Stream* stream, const uint8_t* value, size_t size) noexcept nogil:
    cdef int32_t number
    for number in range(house.method_count):
        if house.methods[number].size == size and (
                memcmp(house.methods[number].path, value, size) == 0):
            stream.method, stream.kind = number, house.methods[number].kind
            return


cdef int on_header(
        nghttp2_session* session, const nghttp2_frame* frame, const uint8_t* name,
        size_t name_size, const uint8_t* value, size_t size, uint8_t flags,
        void* user_data) noexcept nogil:
    cdef Connection* connection = <Connection*>user_data
    cdef House* house = connection.house
    cdef Stream* stream = connection.heading
    if stream == NULL:
        return 0
    stream.header_bytes += name_size + size + 32  # as HTTP/2 counts them
    if stream.header_bytes > house.limits.header_bytes:
        stream.wrong = BIG_HEADERS + 1
        if stream.header_bytes <= MOST_HEADERS * house.limits.header_bytes:
            return 0
        hang_up(connection, NGHTTP2_ENHANCE_YOUR_CALM, b"too_many_headers")
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE
    if same(name, name_size, b":path", 5):
        on_path(house, stream, value, size)
    elif same(name, name_size, b":method", 7):
        stream.is_post = same(value, size, b"POST", 4)
    elif same(name, name_size, b"content-type", 12):
        stream.is_grpc = is_grpc(value, size)
    elif same(name, name_size, b"grpc-timeout", 12):
        stream.timeout_ns = timeout_ns(value, size)
        stream.has_timeout = True
    elif same(name, name_size, b"grpc-encoding", 13):
        stream.has_encoding = not same(value, size, b"identity", 8)
    elif same(name, name_size, b"authorization", 13):
        on_authorization(connection, stream, value, size)
    return 0


cdef int why_not(const House* house, const Stream* stream) noexcept nogil:
    """The ending of a call that cannot begin, plus one; or 0."""
    if stream.wrong == BIG_HEADERS + 1:
        return stream.wrong
    if stream.has_timeout and stream.timeout_ns < 0:
        return BAD_TIMEOUT + 1
    if house.is_draining:
        return DRAINING + 1
    if stream.wrong:
        return stream.wrong
    if house.tokens.are_asked_for and not stream.has_authorization:
        return NO_TOKEN + 1
    if stream.method == OTHER_METHOD:
        return NOT_SERVED + 1
    if stream.has_encoding:
        return BAD_ENCODING + 1
    if stream.has_timeout and not stream.timeout_ns:
        return LATE + 1
    return 0


cdef void begin_call(Connection* connection, Stream* stream) noexcept nogil:
    """All headers have come."""
    cdef House* house = connection.house
    cdef int ending
    if not stream.is_post:
        end_in_http(stream, b"405")
        return
    if not stream.is_grpc:
        end_in_http(stream, b"415")
        return
    ending = why_not(house, stream)
    if ending:
        end_with(stream, ending - 1)
        return
    if stream.has_timeout:
        stream.deadline_ns = stream.began_ns + stream.timeout_ns
        timer_set(&house.wheel, &stream.timer, stream.deadline_ns)
    stream.stage = STAGE_MESSAGES
    if house.tokens.are_asked_for and not stream.allowed >> stream.method & 1:
        stream.is_allowed = False
        stream.stage = STAGE_DEAF
        if not has_room(house, 0) or not put(stream, NULL, 0, NULL):
            end_with(stream, BUSY)


# -- FRAMES ------------------------------------------------------------------------------------

cdef void on_ping(Connection* connection) noexcept nogil:
    """Between two pings there is to be some time, or something from us that makes them useful."""
    cdef House* house = connection.house
    if connection.their_ping_ns and (
            house.now_ns - connection.their_ping_ns < house.limits.least_ping_ns):
        connection.strikes += 1
        if connection.strikes > MOST_STRIKES:
            hang_up(connection, NGHTTP2_ENHANCE_YOUR_CALM, b"too_many_pings")
    connection.their_ping_ns = house.now_ns


cdef int on_frame(
        nghttp2_session* session, const nghttp2_frame* frame, void* user_data) noexcept nogil:
    cdef Connection* connection = <Connection*>user_data
    cdef Stream* stream
    cdef uint8_t kind = frame.hd.type
    cdef bint is_last = frame.hd.flags & NGHTTP2_FLAG_END_STREAM
    if kind == NGHTTP2_HEADERS:
        stream = connection.heading
        connection.heading = NULL
        if stream != NULL:
            begin_call(connection, stream)
    elif kind == NGHTTP2_PING:
        if frame.hd.flags & NGHTTP2_FLAG_ACK:
            connection.pinged_ns = 0
            return 0
        on_ping(connection)
        spend(connection)
        return 0
    elif kind == NGHTTP2_SETTINGS:
        connection.is_greeted = True
    if kind == NGHTTP2_HEADERS or kind == NGHTTP2_DATA:
        if is_last:
            stream = stream_of(connection, frame.hd.stream_id)
            if stream != NULL:
                half_close(connection, stream)
        elif kind == NGHTTP2_DATA and not frame.hd.length:
            spend(connection)
    elif kind == NGHTTP2_SETTINGS or kind == NGHTTP2_RST_STREAM or kind == NGHTTP2_PRIORITY:
        spend(connection)
    return 0


cdef int on_invalid_frame(
        nghttp2_session* session, const nghttp2_frame* frame, int error,
        void* user_data) noexcept nogil:
    spend(<Connection*>user_data)
    return 0


cdef int on_data(
        nghttp2_session* session, uint8_t flags, int32_t stream_id, const uint8_t* data,
        size_t size, void* user_data) noexcept nogil:
    cdef Connection* connection = <Connection*>user_data
    cdef Stream* stream = stream_of(connection, stream_id)
    if stream == NULL or stream.stage != STAGE_MESSAGES:
        nghttp2_session_consume(session, stream_id, size)
        return 0
    if not bytes_add(&stream.received, data, size):
        end_with(stream, BUSY)
        nghttp2_session_consume(session, stream_id, size)
        return 0
    hold(connection, size)
    if stream.kind != STREAM:
        nghttp2_session_consume(session, stream_id, size)
        hear(connection, stream)
        return 0
    nghttp2_session_consume_connection(session, size)
    stream.unconsumed += size
    read_on(connection, stream)
    return 0


cdef int on_sent(
        nghttp2_session* session, const nghttp2_frame* frame, void* user_data) noexcept nogil:
    cdef Connection* connection = <Connection*>user_data
    cdef Stream* stream
    if frame.hd.type != NGHTTP2_HEADERS and frame.hd.type != NGHTTP2_DATA:
        return 0
    connection.their_ping_ns = connection.strikes = 0
    if frame.hd.flags & NGHTTP2_FLAG_END_STREAM:
        stream = stream_of(connection, frame.hd.stream_id)
        if stream != NULL and not stream.is_half_closed:
            # What else the client has to say is not of interest.
            nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream.id, NGHTTP2_NO_ERROR)
    return 0


# -- THE END OF A CALL -------------------------------------------------------------------------

cdef void count_end(House* house, const Stream* stream, uint8_t status) noexcept nogil:
    cdef int32_t method = house.method_count if stream.method == OTHER_METHOD else stream.method
    cdef int64_t lasted_ns = house.now_ns - stream.began_ns
    house.counts.ended[method * STATUSES + status] += 1
    house.counts.seconds[method * (BUCKETS + 1) + bucket_of(lasted_ns)] += 1
    house.counts.seconds_sum[method] += lasted_ns * 1e-9


cdef void forget(Connection* connection, Stream* stream) noexcept nogil:
    """Its connection knows it no more."""
    cdef House* house = connection.house
    cdef uint8_t status = stream.status
    cdef int64_t left = bytes_left(&stream.outgoing)
    if stream.stage != STAGE_ENDED or left:
        status = CANCELLED
        if stream.deadline_ns and stream.deadline_ns - house.now_ns < DEADLINE_SLACK_NS:
            status = DEADLINE_EXCEEDED
    else:
        connection.patience += 1
    finish(stream, status)
    count_end(house, stream, status)
    hold(connection, -left - bytes_left(&stream.received))
    if connection.heading == stream:
        connection.heading = NULL
    if connection.recent == stream:
        connection.recent = NULL
    if stream.next != NULL:
        stream.next.previous = stream.previous
    if stream.previous != NULL:
        stream.previous.next = stream.next
    else:
        connection.streams = stream.next
    stream.next = stream.previous = NULL
    stream.connection = NULL
    connection.stream_count -= 1
    connection.idle_ns = house.now_ns
    if connection.timer.due_ns > house.now_ns + house.limits.idle_ns:
        timer_set(&house.wheel, &connection.timer, house.now_ns + house.limits.idle_ns)
    house.counts.streams -= 1
    stream_release(&house.pool, stream)


cdef int on_close(
        nghttp2_session* session, int32_t stream_id, uint32_t error_code,
        void* user_data) noexcept nogil:
    cdef Stream* stream = stream_of(<Connection*>user_data, stream_id)
    if stream != NULL:
        nghttp2_session_set_stream_user_data(session, stream_id, NULL)
        forget(<Connection*>user_data, stream)
    return 0


# -- SESSIONS ----------------------------------------------------------------------------------

cdef int session_callbacks(House* house) except -1:
    cdef nghttp2_session_callbacks* callbacks
    if nghttp2_session_callbacks_new(&house.callbacks) or nghttp2_option_new(&house.option):
        raise MemoryError
    callbacks = house.callbacks
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers)
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header)
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame)
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid_frame)
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data)
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_sent)
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close)
    nghttp2_option_set_no_auto_window_update(house.option, 1)
    nghttp2_option_set_no_closed_streams(house.option, 1)
    allow_resets(house.option, 4 * house.limits.concurrent_streams + 4_000)
    return 0


cdef int session_begin(Connection* connection) noexcept nogil:
    cdef House* house = connection.house
    cdef nghttp2_settings_entry settings[4]
    connection.began_ns = connection.heard_ns = connection.idle_ns = house.now_ns
    connection.patience, connection.patience_ns = most_patience(house), house.now_ns
    timer_set(&house.wheel, &connection.timer, house.now_ns + house.limits.header_ns)
    connection.timer.owner = connection
    if nghttp2_session_server_new3(
            &connection.session, house.callbacks, connection, house.option,
            &house.scraps.memory):
        session_end(connection)
        return -1
    settings[0].settings_id = NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS
    settings[0].value = <uint32_t>house.limits.concurrent_streams
    settings[1].settings_id = NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE
    settings[1].value = STREAM_WINDOW_BYTES
    settings[2].settings_id = NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE
    settings[2].value = <uint32_t>house.limits.header_bytes
    settings[3].settings_id = NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES
    settings[3].value = 1
    if nghttp2_submit_settings(connection.session, NGHTTP2_FLAG_NONE, settings, 4) or (
            nghttp2_session_set_local_window_size(
                connection.session, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW_BYTES)):
        session_end(connection)
        return -1
    return 0


cdef bint session_read(Connection* connection, const uint8_t* data, size_t size) noexcept nogil:
    cdef House* house = connection.house
    if nghttp2_session_mem_recv(connection.session, data, size) != <Py_ssize_t>size:
        return False
    if connection.heading != NULL:  # within headers a peer is to hurry
        timer_set(&house.wheel, &connection.timer,
                  connection.heading.began_ns + house.limits.header_ns)
    return True


cdef void session_end(Connection* connection) noexcept nogil:
    """Its calls end with it; those that are in the queue are left out there."""
    while connection.streams != NULL:
        forget(connection, connection.streams)
    timer_unset(&connection.timer)  # last: the end of a call may set it
    if connection.session != NULL:
        nghttp2_session_del(connection.session)
        connection.session = NULL
