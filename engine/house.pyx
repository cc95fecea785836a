"""What all connections of a door share: what it may do, what it bears, and what it has done."""
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

from typing import NamedTuple

import numpy as np

from fendan.engine.exchange cimport (
    ENDING_COUNT,
    STATUSES,
    Counts,
    Method,
    Words,
)
from fendan.engine.meter cimport BUCKETS
from fendan.engine.nghttp2 cimport nghttp2_option_del, nghttp2_session_callbacks_del
from fendan.engine.scraps cimport scraps_begin, scraps_end
from fendan.engine.streams cimport Bytes, pool_end
from fendan.engine.timers cimport NANOSECONDS, clock_ns, wheel_begin
from fendan.engine.tokens cimport tokens_begin, tokens_end
from fendan.engine.queue cimport queue_begin, queue_end
from fendan.engine.turns cimport put_ending
from fendan.engine.turns import Ending

cdef enum:
    MOST_METHODS = 64           # a bit each in a token's mask


class DoorLimits(NamedTuple):
    """What a door bears.

    Messages not whole yet and answers not sent yet may hold `queue_bytes` together, too; beyond
    it, the connection that holds most is hung up on.
    """

    message_bytes: int = 16 * 1024 * 1024
    concurrent_streams: int = 1_000
    queue_requests: int = 20_000
    queue_bytes: int = 256 * 1024 * 1024
    connections: int = 20_000
    header_bytes: int = 16 * 1024
    header_timeout_s: float = 10.0
    idle_s: float = 3_600.0
    keepalive_time_s: float = 60.0
    keepalive_timeout_s: float = 20.0
    least_client_interval_s: float = 10.0
    turn_orders: int = 1_024
    turn_bytes: int = 4 * 1024 * 1024


class DoorStats(NamedTuple):
    """Counts since the door was opened, and what is open or held now."""

    accepted: int
    refused: int
    hung_up: int
    connections: int
    streams: int
    read_bytes: int
    written_bytes: int
    queue_requests: int
    queue_bytes: int
    held_bytes: int
    ended: np.ndarray
    seconds: np.ndarray
    seconds_sum: np.ndarray


# How calls end that nobody hears of, unless told otherwise: in the order of EndingIndex.
ENDINGS = {
    "no_token": Ending(16, "send one header `authorization: Bearer TOKEN`", b""),
    "bad_header": Ending(16, "send one header `authorization: Bearer TOKEN`", b""),
    "unknown_token": Ending(16, "the token was revoked, or never was one of this server's", b""),
    "not_served": Ending(12, "there is no such method at this port", b""),
    "busy": Ending(8, "too many requests wait; nothing was done; try again soon", b""),
    "draining": Ending(14, "the server is about to stop; try again, maybe elsewhere", b""),
    "late": Ending(4, "the deadline passed before the work began", b""),
    "too_large": Ending(8, "the message is larger than this server accepts", b""),
    "bad_encoding": Ending(12, "this server reads messages that are not compressed", b""),
    "internal": Ending(13, "the server did not answer", b""),
    "big_headers": Ending(8, "the headers are larger than this server accepts", b""),
    "bad_timeout": Ending(13, "grpc-timeout must be up to eight digits and a unit", b""),
    "bad_prefix": Ending(13, "a message's flag must be 0: it is not compressed", b""),
    "cut_off": Ending(13, "the request ends within a message", b""),
    "no_message": Ending(13, "the request ends before its message", b""),
    "many_messages": Ending(13, "more follows the one message of a request", b""),
}
assert len(ENDINGS) == ENDING_COUNT


cdef int64_t ns_of(double seconds) except -1:
    return <int64_t>(seconds * NANOSECONDS)


cdef int prepare(Words* words, ending) except -1:
    """Have an ending's texts as they are sent."""
    cdef Bytes text
    memset(&text, 0, sizeof(Bytes))
    words.status = <uint8_t>put_ending(ending, &text, &words.size, &words.details_size)
    words.text = text.data
    return 0


cdef int house_begin(House* house, methods, tokens, limits, endings) except -1:
    """See Door; where it raises, house_end gives back what there is."""
    house.limits.message_bytes = limits.message_bytes
    house.limits.queue_messages = limits.queue_requests
    house.limits.queue_bytes = limits.queue_bytes
    house.limits.header_bytes = limits.header_bytes
    house.limits.connections = limits.connections
    house.limits.concurrent_streams = limits.concurrent_streams
    house.limits.header_ns = ns_of(limits.header_timeout_s)
    house.limits.idle_ns = ns_of(limits.idle_s)
    house.limits.keepalive_ns = ns_of(limits.keepalive_time_s)
    house.limits.keepalive_timeout_ns = ns_of(limits.keepalive_timeout_s)
    house.limits.least_ping_ns = ns_of(limits.least_client_interval_s)
    queue_begin(&house.queue, limits.turn_orders, limits.turn_bytes)
    scraps_begin(&house.scraps)
    house.now_ns = clock_ns()
    wheel_begin(&house.wheel, house.now_ns)
    learn(house, methods, endings)
    tokens_begin(&house.tokens, tokens)
    return 0


cdef int learn(House* house, methods, endings) except -1:
    """The methods, and the words of endings."""
    cdef bytes path
    cdef int number
    if not 1 <= len(methods) <= MOST_METHODS:
        raise ValueError(f"a door has 1 to {MOST_METHODS} methods")
    house.methods = <Method*>calloc(len(methods), sizeof(Method))
    house.counts.ended = <int64_t*>calloc(STATUSES * (len(methods) + 1), sizeof(int64_t))
    house.counts.seconds = <int64_t*>calloc((BUCKETS + 1) * (len(methods) + 1), sizeof(int64_t))
    house.counts.seconds_sum = <double*>calloc(len(methods) + 1, sizeof(double))
    if house.methods == NULL or house.counts.ended == NULL or house.counts.seconds == NULL or (
            house.counts.seconds_sum == NULL):
        raise MemoryError
    house.method_count = <int32_t>len(methods)
    for number, (name, kind) in enumerate(methods):
        path = name.encode()
        house.methods[number].path = <uint8_t*>malloc(len(path) + 1)
        if house.methods[number].path == NULL:
            raise MemoryError
        memcpy(house.methods[number].path, <const uint8_t*>path, len(path))
        house.methods[number].size, house.methods[number].kind = len(path), kind
    if not set(endings) <= set(ENDINGS):
        raise ValueError(f"there are no such endings: {set(endings) - set(ENDINGS)}")
    for number, (name, usual) in enumerate(ENDINGS.items()):
        prepare(&house.endings[number], endings.get(name, usual))
    return 0


cdef void house_end(House* house) noexcept nogil:
    """Give everything back; its connections have ended."""
    cdef int number
    for number in range(house.method_count):
        free(house.methods[number].path)
    for number in range(<int>ENDING_COUNT):
        free(house.endings[number].text)
    free(house.methods)
    free(house.counts.ended)
    free(house.counts.seconds)
    free(house.counts.seconds_sum)
    if house.callbacks != NULL:
        nghttp2_session_callbacks_del(house.callbacks)
    if house.option != NULL:
        nghttp2_option_del(house.option)
    tokens_end(&house.tokens)
    pool_end(&house.pool)
    scraps_end(&house.scraps)
    if house.queue.event >= 0:
        queue_end(&house.queue)


cdef object stats_of(House* house):
    """What has happened, and what is now."""
    cdef Py_ssize_t rows = house.method_count + 1
    cdef Counts* counts = &house.counts
    return DoorStats(
        counts.accepted,
        counts.refused,
        counts.hung_up,
        counts.connections,
        counts.streams,
        counts.read_bytes,
        counts.written_bytes,
        counts.waiting,
        counts.waiting_bytes,
        counts.held_bytes,
        np.array(<int64_t[:rows, :STATUSES]>counts.ended),
        np.array(<int64_t[:rows, :BUCKETS + 1]>counts.seconds),
        np.array(<double[:rows]>counts.seconds_sum),
    )
