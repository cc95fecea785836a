"""Where links come from: sockets that listen, accept and call at HOST:PORT or unix:PATH."""

cdef enum:
    ACCEPT_NONE = -1    # nobody waits
    ACCEPT_FULL = -2    # somebody waits, but this process or machine has no socket left


cpdef int listen_at(str address, bint reuse) except -1
cpdef int accept_at(int listener) noexcept nogil
cpdef int connect_to(str address) except -1
