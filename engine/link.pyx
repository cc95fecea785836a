"""One nonblocking channel of bytes, plain or TLS.

HTTP/2 reads and writes the same way over either:

    read, write                        LINK_AGAIN: wait for the socket, then the same call again
         |
    [ OpenSSL ]                        absent in a plain link; shakes hands inside read and write
         |
    [ wire: recv, send ]               our own BIO, so that no write to a dead peer raises SIGPIPE
         |
       socket

OpenSSL takes whole records off the socket and may hold bytes that no poll will tell of: whoever
reads, reads until LINK_AGAIN, or comes back unasked. Who has something to send calls link_write
after link_read: `wants_write` is whether the last call waits until it can write.

No session is resumed: connections live long, so there is nothing to save; tickets would need keys
that change, and a client's certificate would not be looked at again.
"""
from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport uint8_t
from libc.string cimport memcmp
from posix.unistd cimport close

import os

from fendan.errors import Fault, refuse

cdef extern from "<sys/socket.h>" nogil:
    ssize_t recv(int socket, void* into, size_t room, int flags)
    ssize_t send(int socket, const void* data, size_t size, int flags)
    int MSG_NOSIGNAL

cdef extern from "<openssl/bio.h>" nogil:
    ctypedef struct BIO
    ctypedef struct BIO_METHOD
    BIO_METHOD* BIO_meth_new(int kind, const char* name)
    int BIO_meth_set_read(BIO_METHOD* method, int (*read)(BIO*, char*, int) noexcept nogil)
    int BIO_meth_set_write(BIO_METHOD* method, int (*write)(BIO*, const char*, int) noexcept nogil)
    int BIO_meth_set_ctrl(BIO_METHOD* method, long (*ctrl)(BIO*, int, long, void*) noexcept nogil)
    BIO* BIO_new(const BIO_METHOD* method)
    void BIO_set_data(BIO* bio, void* data)
    void* BIO_get_data(BIO* bio)
    void BIO_set_init(BIO* bio, int init)
    void BIO_clear_retry_flags(BIO* bio)
    void BIO_set_retry_read(BIO* bio)
    void BIO_set_retry_write(BIO* bio)
    int BIO_get_new_index()
    int BIO_TYPE_SOURCE_SINK, BIO_CTRL_FLUSH

cdef extern from "<openssl/err.h>" nogil:
    void ERR_clear_error()
    unsigned long ERR_peek_error()
    const char* ERR_reason_error_string(unsigned long error)

cdef extern from "<openssl/x509_vfy.h>" nogil:
    ctypedef struct X509_VERIFY_PARAM
    int X509_VERIFY_PARAM_set1_host(X509_VERIFY_PARAM* param, const char* name, size_t size)
    int X509_VERIFY_PARAM_set1_ip_asc(X509_VERIFY_PARAM* param, const char* address)

ctypedef const unsigned char* Words

cdef extern from "<openssl/ssl.h>" nogil:
    ctypedef struct SSL
    ctypedef struct SSL_CTX
    ctypedef struct SSL_METHOD
    const SSL_METHOD* TLS_server_method()
    const SSL_METHOD* TLS_client_method()
    SSL_CTX* SSL_CTX_new(const SSL_METHOD* method)
    void SSL_CTX_free(SSL_CTX* context)
    int SSL_CTX_set_min_proto_version(SSL_CTX* context, int version)
    int SSL_CTX_set_cipher_list(SSL_CTX* context, const char* ciphers)
    unsigned long SSL_CTX_set_options(SSL_CTX* context, unsigned long options)
    long SSL_CTX_set_mode(SSL_CTX* context, long mode)
    long SSL_CTX_set_session_cache_mode(SSL_CTX* context, long mode)
    int SSL_CTX_set_num_tickets(SSL_CTX* context, size_t tickets)
    void SSL_CTX_set_read_ahead(SSL_CTX* context, int ahead)
    void SSL_CTX_set_verify(SSL_CTX* context, int mode, void* callback)
    int SSL_CTX_use_certificate_chain_file(SSL_CTX* context, const char* path)
    int SSL_CTX_use_PrivateKey_file(SSL_CTX* context, const char* path, int kind)
    void SSL_CTX_set_default_passwd_cb(SSL_CTX* context, int (*ask)(char*, int, int, void*)
                                       noexcept nogil)
    int SSL_CTX_load_verify_locations(SSL_CTX* context, const char* file, const char* folder)
    int SSL_CTX_set_default_verify_paths(SSL_CTX* context)
    void* SSL_load_client_CA_file(const char* path)
    void SSL_CTX_set_client_CA_list(SSL_CTX* context, void* names)
    X509_VERIFY_PARAM* SSL_CTX_get0_param(SSL_CTX* context)
    int SSL_CTX_set_app_data(SSL_CTX* context, void* data)
    void* SSL_CTX_get_app_data(SSL_CTX* context)
    int SSL_CTX_set_alpn_protos(SSL_CTX* context, const unsigned char* words, unsigned int size)
    void SSL_CTX_set_alpn_select_cb(
        SSL_CTX* context,
        int (*select)(SSL*, Words*, unsigned char*, Words, unsigned int, void*) noexcept nogil,
        void* data)
    SSL* SSL_new(SSL_CTX* context)
    void SSL_free(SSL* tls)
    void SSL_set_bio(SSL* tls, BIO* reading, BIO* writing)
    void SSL_set_accept_state(SSL* tls)
    void SSL_set_connect_state(SSL* tls)
    int SSL_set_tlsext_host_name(SSL* tls, const char* name)
    int SSL_read(SSL* tls, void* into, int room)
    int SSL_write(SSL* tls, const void* data, int size)
    int SSL_do_handshake(SSL* tls)
    int SSL_is_init_finished(const SSL* tls)
    int SSL_get_error(const SSL* tls, int returned)
    int SSL_shutdown(SSL* tls)
    void SSL_get0_alpn_selected(const SSL* tls, Words* word, unsigned int* size)
    int TLS1_2_VERSION, SSL_FILETYPE_PEM, SSL_SESS_CACHE_OFF
    int SSL_VERIFY_PEER, SSL_VERIFY_FAIL_IF_NO_PEER_CERT
    int SSL_ERROR_ZERO_RETURN, SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE
    int SSL_TLSEXT_ERR_OK, SSL_TLSEXT_ERR_ALERT_FATAL
    unsigned long SSL_OP_NO_TICKET, SSL_OP_NO_RENEGOTIATION, SSL_OP_NO_COMPRESSION
    unsigned long SSL_OP_CIPHER_SERVER_PREFERENCE
    long SSL_MODE_ENABLE_PARTIAL_WRITE, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER
    long SSL_MODE_RELEASE_BUFFERS

# Of TLS 1.2, what HTTP/2 does not forbid (RFC 9113, appendix A); TLS 1.3 has nothing worse.
cdef const char* CIPHERS = b"ECDHE+AESGCM:ECDHE+CHACHA20"
cdef const unsigned char* H2 = b"\x02h2"  # as ALPN writes it: a length and a word
cdef int H2_BYTES = 3
# What OpenSSL counts in an int; no one call brings more.
cdef size_t MOST_BYTES = 1 << 30


# -- THE SOCKET UNDER TLS -----------------------------------------------------------------------


cdef int wire_read(BIO* wire, char* into, int room) noexcept nogil:
    cdef ssize_t got = receive(<int><size_t>BIO_get_data(wire), into, room)
    BIO_clear_retry_flags(wire)
    if got == LINK_AGAIN:
        BIO_set_retry_read(wire)
    return <int>got if got > 0 else -1 if got < 0 else 0


cdef int wire_write(BIO* wire, const char* data, int size) noexcept nogil:
    cdef ssize_t sent = transmit(<int><size_t>BIO_get_data(wire), data, size)
    BIO_clear_retry_flags(wire)
    if sent == LINK_AGAIN:
        BIO_set_retry_write(wire)
    return <int>sent if sent > 0 else -1


cdef long wire_control(BIO* wire, int what, long number, void* data) noexcept nogil:
    return what == BIO_CTRL_FLUSH  # nothing is held back; nothing else can be asked


cdef ssize_t receive(int socket, void* into, size_t room) noexcept nogil:
    cdef ssize_t got
    while True:
        got = recv(socket, into, room, 0)
        if got >= 0:
            return got
        if errno != EINTR:
            return LINK_AGAIN if errno == EAGAIN else LINK_BROKEN


cdef ssize_t transmit(int socket, const void* data, size_t size) noexcept nogil:
    cdef ssize_t sent
    while True:
        sent = send(socket, data, size, MSG_NOSIGNAL)
        if sent >= 0:
            return sent
        if errno != EINTR:
            return LINK_AGAIN if errno == EAGAIN else LINK_BROKEN


cdef BIO_METHOD* wire_method() except NULL:
    cdef BIO_METHOD* method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, b"wire")
    if method is NULL:
        raise MemoryError
    BIO_meth_set_read(method, wire_read)
    BIO_meth_set_write(method, wire_write)
    BIO_meth_set_ctrl(method, wire_control)
    return method


cdef BIO_METHOD* WIRE = wire_method()


# -- THE LINK -----------------------------------------------------------------------------------


cdef int link_begin(Link* link, int socket, void* context, bint is_server) noexcept nogil:
    link.socket = socket
    link.tls = NULL
    link.wants_write = False
    link.is_open = context is NULL
    link.is_broken = False
    if context is NULL:
        return 0
    cdef SSL* tls = SSL_new(<SSL_CTX*>context)
    cdef BIO* wire = BIO_new(WIRE) if tls is not NULL else NULL
    if wire is NULL:
        SSL_free(tls)  # which takes NULL for nothing
        return -1
    BIO_set_data(wire, <void*><size_t>socket)
    BIO_set_init(wire, 1)
    SSL_set_bio(tls, wire, wire)
    cdef const char* name = <const char*>SSL_CTX_get_app_data(<SSL_CTX*>context)
    if is_server:
        SSL_set_accept_state(tls)
    else:
        SSL_set_connect_state(tls)
        if name is not NULL and not SSL_set_tlsext_host_name(tls, name):
            SSL_free(tls)
            return -1
    link.tls = tls
    return 0


cdef Py_ssize_t link_read(Link* link, uint8_t* into, size_t room) noexcept nogil:
    """The bytes read into `into`, at least one; or LINK_ENDED, LINK_AGAIN, LINK_BROKEN."""
    link.wants_write = False
    if link.tls is NULL:
        return receive(link.socket, into, room)
    if link.is_broken:
        return LINK_BROKEN
    ERR_clear_error()
    return said(link, SSL_read(<SSL*>link.tls, into, <int>min(room, MOST_BYTES)))


cdef Py_ssize_t link_write(Link* link, const uint8_t* data, size_t size) noexcept nogil:
    """The bytes taken of `data`, which may be fewer than `size`; LINK_AGAIN or LINK_BROKEN.

    What could not be written is given again, with as much behind it as there is by then.
    """
    cdef Py_ssize_t sent
    link.wants_write = False
    if size == 0:
        return 0
    if link.tls is NULL:
        sent = transmit(link.socket, data, size)
        link.wants_write = sent == LINK_AGAIN
        return sent
    if link.is_broken:
        return LINK_BROKEN
    ERR_clear_error()
    sent = said(link, SSL_write(<SSL*>link.tls, data, <int>min(size, MOST_BYTES)))
    return sent if sent != LINK_ENDED else LINK_BROKEN


cdef Py_ssize_t said(Link* link, int returned) noexcept nogil:
    """What OpenSSL's answer means; and whether the handshake is over by now."""
    cdef int error
    if returned > 0:
        link.is_open = True
        return returned
    error = SSL_get_error(<SSL*>link.tls, returned)
    link.is_open = SSL_is_init_finished(<SSL*>link.tls)
    if error == SSL_ERROR_WANT_READ or error == SSL_ERROR_WANT_WRITE:
        link.wants_write = error == SSL_ERROR_WANT_WRITE
        return LINK_AGAIN
    if error == SSL_ERROR_ZERO_RETURN:
        return LINK_ENDED
    link.is_broken = True
    return LINK_BROKEN


cdef bint link_speaks_h2(const Link* link) noexcept nogil:
    cdef const unsigned char* word = NULL
    cdef unsigned int size = 0
    if link.tls is NULL:
        return True
    SSL_get0_alpn_selected(<const SSL*>link.tls, &word, &size)
    return size == 2 and memcmp(word, H2 + 1, 2) == 0


cdef void link_end(Link* link) noexcept nogil:
    """Say farewell where the peer may hear it, without waiting; close the socket, free the rest."""
    if link.tls is not NULL:
        if link.is_open and not link.is_broken:
            ERR_clear_error()
            SSL_shutdown(<SSL*>link.tls)
        ERR_clear_error()
        SSL_free(<SSL*>link.tls)
        link.tls = NULL
    if link.socket >= 0:
        close(link.socket)
        link.socket = -1


# -- WHO WE ARE, AND WHOM WE TRUST --------------------------------------------------------------


cdef int choose_h2(SSL* tls, Words* chosen, unsigned char* size, Words offered,
                   unsigned int offered_bytes, void* data) noexcept nogil:
    """Of the words that a client offers, h2; a client without it is refused by an alert."""
    cdef unsigned int at = 0
    while at < offered_bytes:
        if at + 3 <= offered_bytes and memcmp(offered + at, H2, H2_BYTES) == 0:
            chosen[0] = offered + at + 1
            size[0] = 2
            return SSL_TLSEXT_ERR_OK
        at += 1 + offered[at]
    return SSL_TLSEXT_ERR_ALERT_FATAL


cdef int no_password(char* into, int room, int writing, void* data) noexcept nogil:
    return 0  # an empty one, so that nobody is asked


cdef class Tls:
    """Certificate, key and trusted authorities of one side; any number of links share it.

    TLS 1.2 or later, HTTP/2 by ALPN. Files are PEM; whoever is refused is told which and why.
    """

    def __dealloc__(self):
        SSL_CTX_free(<SSL_CTX*>self.context)

    @staticmethod
    def server(certificate, key, client_ca=None):
        """Of a server; with `client_ca`, of one that serves only whom that authority knows.

        Raises FileFormatError.
        """
        cdef Tls tls = begun(TLS_server_method())
        cdef SSL_CTX* context = <SSL_CTX*>tls.context
        SSL_CTX_set_alpn_select_cb(context, choose_h2, NULL)
        identify(tls, certificate, key)
        if client_ca is not None:
            trust(tls, client_ca, "tls.client_ca")
            # Clients with several certificates learn by it which to show.
            SSL_CTX_set_client_CA_list(context, SSL_load_client_CA_file(os.fsencode(client_ca)))
            SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL)
        return tls

    @staticmethod
    def client(str server_name not None, *, ca=None, certificate=None, key=None):
        """Of a client that talks to `server_name`, a name or an address, and nobody else.

        Without `ca`, the authorities that this machine trusts. Raises FileFormatError.
        """
        cdef Tls tls = begun(TLS_client_method())
        cdef SSL_CTX* context = <SSL_CTX*>tls.context
        cdef X509_VERIFY_PARAM* check = SSL_CTX_get0_param(context)
        cdef bytes name = server_name.encode("idna")
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL)
        if not X509_VERIFY_PARAM_set1_ip_asc(check, name):  # addresses are no names: no SNI
            tls.name = name
            SSL_CTX_set_app_data(context, <char*>tls.name)
            X509_VERIFY_PARAM_set1_host(check, name, len(name))
        SSL_CTX_set_alpn_protos(context, H2, H2_BYTES)
        if ca is None:
            SSL_CTX_set_default_verify_paths(context)
        else:
            trust(tls, ca, "tls.ca")
        if certificate is not None:
            identify(tls, certificate, key)
        return tls


cdef Tls begun(const SSL_METHOD* side):
    cdef Tls tls = Tls.__new__(Tls)
    cdef SSL_CTX* context = SSL_CTX_new(side)
    if context is NULL:
        raise MemoryError
    tls.context = context
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION)
    SSL_CTX_set_cipher_list(context, CIPHERS)
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION
                        | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE)
    SSL_CTX_set_num_tickets(context, 0)
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF)
    # Thousands of idle links: their buffers go back; and the rest of a write may move.
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE
                     | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER)
    SSL_CTX_set_read_ahead(context, 1)  # a record a call, not its head and then its body
    SSL_CTX_set_default_passwd_cb(context, no_password)
    return tls


cdef int identify(Tls tls, certificate, key) except -1:
    cdef SSL_CTX* context = <SSL_CTX*>tls.context
    ERR_clear_error()
    if not SSL_CTX_use_certificate_chain_file(context, readable(certificate, "tls.certificate")):
        refuse_file("tls.certificate", certificate, "no certificate in PEM")
    # Which also looks whether the two belong together.
    if not SSL_CTX_use_PrivateKey_file(context, readable(key, "tls.key"), SSL_FILETYPE_PEM):
        refuse_file("tls.key", key, f"no key in PEM, not encrypted, of {certificate}")
    return 0


cdef int trust(Tls tls, path, str field) except -1:
    ERR_clear_error()
    if not SSL_CTX_load_verify_locations(<SSL_CTX*>tls.context, readable(path, field), NULL):
        refuse_file(field, path, "no certificates in PEM")
    return 0


cdef bytes readable(path, str field):
    try:
        with open(path, "rb"):
            return os.fsencode(path)
    except OSError as error:
        refuse(Fault.BAD_FILE, field, str(path), hint=error.strerror)


cdef int refuse_file(str field, path, str what) except -1:
    cdef const char* reason = ERR_reason_error_string(ERR_peek_error())
    ERR_clear_error()
    hint = what if reason is NULL else f"{what}: {reason.decode()}"
    refuse(Fault.BAD_FILE, field, str(path), hint=hint)


# -- FOR PYTHON ---------------------------------------------------------------------------------


cdef class Channel:
    """A link for Python: what tests and tools read and write, and the fast code never sees."""

    cdef Link link

    def __cinit__(self):
        self.link.socket = -1

    def __init__(self, int socket, Tls tls=None, *, bint is_server):
        cdef void* context = tls.context if tls is not None else NULL
        self.close()
        if link_begin(&self.link, socket, context, is_server):
            raise MemoryError

    def __dealloc__(self):
        self.close()

    def read(self, Py_ssize_t room):
        """Bytes, empty at the end; None: nothing now. Raises ConnectionResetError."""
        cdef bytearray data = bytearray(room)
        cdef Py_ssize_t got = link_read(&self.link, <uint8_t*><char*>data, room)
        if got == LINK_BROKEN:
            raise ConnectionResetError
        return None if got == LINK_AGAIN else bytes(data[:got])

    def write(self, const uint8_t[::1] data not None):
        """How many bytes were taken; None: none now. Raises ConnectionResetError."""
        cdef Py_ssize_t sent
        sent = link_write(&self.link, &data[0] if data.shape[0] else NULL, data.shape[0])
        if sent == LINK_BROKEN:
            raise ConnectionResetError
        return None if sent == LINK_AGAIN else sent

    def close(self):
        """Say farewell and close; once more is nothing."""
        link_end(&self.link)

    @property
    def wants_write(self):
        return self.link.wants_write

    @property
    def is_open(self):
        return self.link.is_open

    @property
    def speaks_h2(self):
        return link_speaks_h2(&self.link)
