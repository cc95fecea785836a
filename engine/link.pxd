"""One nonblocking channel of bytes, plain or TLS."""
from libc.stdint cimport uint8_t

cdef enum:
    LINK_ENDED = 0      # the peer closed
    LINK_AGAIN = -1     # nothing now: wait for the socket
    LINK_BROKEN = -2    # the peer vanished, or broke a rule of TLS: only link_end is left


cdef struct Link:
    int socket
    void* tls           # SSL*; NULL: plain
    bint wants_write    # the last call goes on when the socket can be written (else: read)
    bint is_open        # the TLS handshake is over (plain: at once)
    bint is_broken      # no word of farewell to this peer


# Takes over the socket, which must be nonblocking; `context` is that of a Tls, or NULL: plain.
# -1: no memory; the socket is then still the caller's.
cdef int link_begin(Link* link, int socket, void* context, bint is_server) noexcept nogil
cdef Py_ssize_t link_read(Link* link, uint8_t* into, size_t room) noexcept nogil
cdef Py_ssize_t link_write(Link* link, const uint8_t* data, size_t size) noexcept nogil
# Whether both agreed on HTTP/2, once the link is open. Plain links take it as known beforehand.
cdef bint link_speaks_h2(const Link* link) noexcept nogil
cdef void link_end(Link* link) noexcept nogil


cdef class Tls:
    cdef void* context  # SSL_CTX*
    cdef bytes name     # who the server must be; empty on the server's side
