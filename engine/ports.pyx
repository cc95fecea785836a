"""Where links come from: sockets that listen, accept and call at HOST:PORT or unix:PATH.

All are nonblocking, and send at once what they are given: messages are small, and somebody waits.
"""
from libc.errno cimport ECONNABORTED, EINTR, EMFILE, ENFILE, ENOBUFS, ENOMEM, EPROTO, errno

import errno as errors
import os
import socket as sockets
import stat

from fendan.errors import Fault, refuse

cdef extern from "<sys/socket.h>" nogil:
    int accept4(int listener, void* address, void* size, int flags)
    int setsockopt(int socket, int level, int option, const void* value, unsigned int size)
    int SOCK_CLOEXEC, SOCK_NONBLOCK

cdef extern from "<netinet/in.h>" nogil:
    int IPPROTO_TCP

cdef extern from "<netinet/tcp.h>" nogil:
    int TCP_NODELAY

# Connections that wait to be accepted; the kernel's own bound (somaxconn) is 4,096 by default.
WAITING = 4_096
# A server on the same machine or in the same hall answers at once or not at all.
CONNECT_S = 10.0
UNIX = "unix:"


cpdef int listen_at(str address, bint reuse) except -1:
    """A nonblocking listening socket at HOST:PORT or unix:PATH; with `reuse`, several may share it.

    A name's IPv4 address is preferred; ``[::]`` hears IPv4 as well. The file of a Unix socket whose
    server is gone is replaced. Raises UnavailableError.
    """
    try:
        if address.startswith(UNIX):
            return listen_on_file(address[len(UNIX):])
        host, port = host_and_port(address)
        found = sockets.getaddrinfo(host, port, 0, sockets.SOCK_STREAM, 0, sockets.AI_PASSIVE)
        family, *_, place = sorted(found, key=preferred)[0]
        listener = sockets.create_server(
            place[:2], family=family, backlog=WAITING, reuse_port=reuse,
            dualstack_ipv6=place[0] == "::" and sockets.has_dualstack_ipv6())
    except OSError as error:
        refuse(Fault.UNAVAILABLE, "listen", address, hint=error.strerror or str(error))
    listener.setblocking(False)
    return listener.detach()


cdef preferred(found):
    return found[0] != sockets.AF_INET


cdef listen_on_file(path):
    """A listening Unix socket; raises OSError where somebody listens, or something else lies."""
    listener = sockets.socket(sockets.AF_UNIX)
    try:
        try:
            listener.bind(path)
        except OSError as error:
            if error.errno != errors.EADDRINUSE or not is_stale(path):
                raise
            os.unlink(path)
            listener.bind(path)
        listener.listen(WAITING)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener.detach()


cdef is_stale(path):
    """Whether it is the file of a socket at which nobody listens any more."""
    if not stat.S_ISSOCK(os.stat(path).st_mode):
        return False
    with sockets.socket(sockets.AF_UNIX) as caller:
        caller.setblocking(False)  # a living server may be too busy to answer
        return caller.connect_ex(path) == errors.ECONNREFUSED


cpdef int accept_at(int listener) noexcept nogil:
    """The socket of the next client, nonblocking and without delay; ACCEPT_NONE, ACCEPT_FULL."""
    cdef int client, on = 1
    while True:
        client = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)
        if client >= 0:
            setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on))  # no TCP: no harm
            return client
        if errno == EMFILE or errno == ENFILE or errno == ENOBUFS or errno == ENOMEM:
            return ACCEPT_FULL
        # A client that gave up before its turn is no reason not to look at the next.
        if errno != EINTR and errno != ECONNABORTED and errno != EPROTO:
            return ACCEPT_NONE


cpdef int connect_to(str address) except -1:
    """A connected socket, nonblocking and without delay. Raises UnavailableError.

    It waits for the server for ten seconds at most, and lets other threads run meanwhile.
    """
    try:
        if address.startswith(UNIX):
            client = sockets.socket(sockets.AF_UNIX)
            try:
                client.settimeout(CONNECT_S)
                client.connect(address[len(UNIX):])
            except BaseException:
                client.close()
                raise
        else:
            client = sockets.create_connection(host_and_port(address), timeout=CONNECT_S)
            client.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_NODELAY, 1)
    except OSError as error:
        refuse(Fault.UNAVAILABLE, "address", address, hint=error.strerror or str(error))
    client.setblocking(False)
    return client.detach()


cdef host_and_port(address):
    """The two halves of HOST:PORT, an IPv6 address without its brackets."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isascii() or not port.isdecimal() or int(port) > 65_535:
        refuse(Fault.OUT_OF_RANGE, "address", address, hint="it must be HOST:PORT or unix:PATH")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    return host, int(port)
