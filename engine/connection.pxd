"""Connections: bytes between sockets and sessions, and how long a peer is borne with."""
from libc.stdint cimport uint8_t

from fendan.engine.exchange cimport Connection, House

cdef enum:
    BUFFER_BYTES = 262_144      # read, or written, at a time

# Buffers that all connections share: none has one of its own, but for what a socket did not take.
# What is in `output` is of one connection, and leaves before there is anything of another.
cdef struct Buffers:
    size_t filled               # of the output
    uint8_t input[BUFFER_BYTES]
    uint8_t output[BUFFER_BYTES]


# The connection of a socket, which it takes over; NULL: no memory, and the socket is closed.
cdef Connection* connection_begin(House* house, int socket, void* context) noexcept nogil
cdef void connection_end(Connection* connection) noexcept nogil
# Read what there is. Whether there may be more: then come back unasked.
cdef bint connection_read(Connection* connection, Buffers* buffers) noexcept nogil
cdef void connection_write(Connection* connection, Buffers* buffers) noexcept nogil
# Its timer has gone off.
cdef void connection_check(Connection* connection) noexcept nogil
# No call is to begin any more; those that have may end.
cdef void connection_drain(Connection* connection) noexcept nogil
# Give out what was answered; without buffers, only to libnghttp2.
cdef void settle_all(House* house, Buffers* buffers) noexcept nogil
# Do what is due by now.
cdef void run_timers(House* house) noexcept nogil
