"""Calls: their messages in, their answers out; and what those of one server share."""
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t

from fendan.engine.link cimport Link
from fendan.engine.nghttp2 cimport (
    nghttp2_option,
    nghttp2_session,
    nghttp2_session_callbacks,
)
from fendan.engine.protocol cimport MOST_STATUS
from fendan.engine.scraps cimport Scraps
from fendan.engine.streams cimport Pool, Stream
from fendan.engine.timers cimport Timer, Wheel
from fendan.engine.tokens cimport Token, Tokens
from fendan.engine.queue cimport Block, Entry, Queue

cdef enum EndingIndex:
    NO_TOKEN = 0
    BAD_HEADER = 1              # an authorization that is none
    UNKNOWN_TOKEN = 2
    NOT_SERVED = 3              # a method of the other port, or of none
    BUSY = 4
    DRAINING = 5
    LATE = 6                    # the deadline passed before the work began
    TOO_LARGE = 7               # a message
    BAD_ENCODING = 8            # compressed
    INTERNAL = 9                # nobody answered
    BIG_HEADERS = 10
    BAD_TIMEOUT = 11
    BAD_PREFIX = 12             # of a message
    CUT_OFF = 13                # the client has said all, but not the whole message
    NO_MESSAGE = 14             # nor any
    MANY_MESSAGES = 15          # where there can be one only
    ENDING_COUNT = 16

cdef enum:
    STATUSES = MOST_STATUS + 1
    # How much of one stream is read and not answered at a time, as on the other port.
    MOST_MESSAGES = 64
    MOST_WAITING_BYTES = 4_194_304
    # So much of a stream's answers may wait to be sent before no more of it is read.
    MOST_UNSENT_BYTES = 4_194_304
    # What a peer may send before it hears that some of it was read.
    STREAM_WINDOW_BYTES = 262_144
    CONNECTION_WINDOW_BYTES = 4_194_304
    # Who sends headers of so many times the limit does not mean to be served.
    MOST_HEADERS = 16
    # Frames that bring nothing (resets, pings, settings, empty data): so many a second are borne.
    PATIENCE_PER_S = 1_000
    MOST_TOKEN_BYTES = 256      # of the token that a connection remembers


# A prepared ending; its texts as they are sent.
cdef struct Words:
    uint8_t status
    uint32_t size
    uint32_t details_size
    uint8_t* text               # the message, then the details


cdef struct Method:
    uint8_t* path
    size_t size
    uint8_t kind


cdef struct Limits:
    int64_t message_bytes
    int64_t queue_messages
    int64_t queue_bytes
    int64_t header_bytes
    int64_t connections
    int64_t concurrent_streams
    int64_t header_ns
    int64_t idle_ns
    int64_t keepalive_ns
    int64_t keepalive_timeout_ns
    int64_t least_ping_ns       # between a client's pings


# What has happened since the start, and what is now; written by the loop alone.
cdef struct Counts:
    int64_t accepted
    int64_t refused             # connections beyond the limit
    int64_t hung_up             # on those who broke a rule
    int64_t connections
    int64_t streams
    int64_t read_bytes
    int64_t written_bytes
    int64_t waiting             # messages in the queue, and their bytes
    int64_t waiting_bytes
    int64_t held_bytes          # of messages not whole yet, and of answers not sent yet
    int64_t* ended              # [method or other][status]
    int64_t* seconds            # [method or other][bucket]
    double* seconds_sum         # [method or other]


# What all connections share.
cdef struct House:
    Limits limits
    Method* methods
    int32_t method_count
    Words endings[ENDING_COUNT]
    Tokens tokens
    Queue queue
    Pool pool
    Scraps scraps
    Wheel wheel
    Counts counts
    nghttp2_session_callbacks* callbacks
    nghttp2_option* option
    int64_t now_ns
    bint is_draining
    bint has_news               # something for the engine since it was last woken
    Connection* connections     # all, in a list
    Connection* dirty           # those with something to send, perhaps
    Connection* eager           # those with more to read, perhaps


cdef struct Connection:
    House* house
    Connection* next
    Connection* previous
    Connection* next_dirty
    Connection* next_eager
    Link link
    nghttp2_session* session
    Timer timer
    Stream* streams             # the open ones, in a list
    Stream* heading             # the one whose headers are being read
    Stream* recent              # the one of the last frame, perhaps
    int32_t stream_count
    int64_t held_bytes
    uint8_t* unsent             # what the socket did not take yet
    size_t unsent_at
    size_t unsent_size
    uint32_t events             # what is waited for, as epoll names it
    int64_t began_ns
    int64_t heard_ns            # when something came last
    int64_t pinged_ns           # our ping that has no answer yet; 0: none
    int64_t idle_ns             # since when no call is open
    int64_t leaving_ns          # since when it is to end; 0: it is not
    int64_t their_ping_ns       # their last ping, while we have sent nothing since; 0: none
    int64_t patience_ns         # when it was last renewed
    int64_t patience            # how many frames that bring nothing are still borne
    int32_t strikes             # pings that came too early
    uint8_t goodbyes            # how many GOAWAYs it has had
    bint is_dirty
    bint is_eager
    bint is_open                # the handshake is over, and both agreed on HTTP/2
    bint is_greeted             # the client's settings have come
    bint is_hung_up             # after what is to be sent, the end
    bint is_gone                # to be freed
    size_t token_size           # the token that was last found, and whose it is
    uint8_t token[MOST_TOKEN_BYTES]
    const Token* token_found


# Say goodbye; what is on its way may still be sent.
cdef void hang_up(Connection* connection, uint32_t error_code, const char* why) noexcept nogil
# A frame that brings nothing has come.
cdef void spend(Connection* connection) noexcept nogil
cdef inline int64_t most_patience(const House* house) noexcept nogil:
    """How many of them at once: all calls of a connection may be cancelled together, and again."""
    return PATIENCE_PER_S + 2 * house.limits.concurrent_streams
cdef void make_dirty(Connection* connection) noexcept nogil
cdef void hold(Connection* connection, int64_t more) noexcept nogil

cdef void end_with(Stream* stream, int ending) noexcept nogil
cdef void end_in_http(Stream* stream, const char* http_status) noexcept nogil
cdef void finish(Stream* stream, uint8_t status) noexcept nogil
# A message of no bytes stands for a call that is not allowed. False: no memory.
cdef bint put(Stream* stream, const uint8_t* data, uint32_t size, uint8_t* owned) noexcept nogil
cdef bint has_room(const House* house, int64_t size) noexcept nogil
cdef void hear(Connection* connection, Stream* stream) noexcept nogil
cdef void read_on(Connection* connection, Stream* stream) noexcept nogil
cdef void half_close(Connection* connection, Stream* stream) noexcept nogil
# Give an answer of a block to whoever still waits for it.
cdef void settle(House* house, Block* block, Entry* entry) noexcept nogil
# The time of a stream is over.
cdef void stream_late(House* house, Stream* stream) noexcept nogil
# Streams end when they have all their answers.
cdef void drain_streams(Connection* connection) noexcept nogil
