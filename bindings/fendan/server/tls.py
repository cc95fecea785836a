"""TLS for the server: its certificate, its key, and the authority of its clients' certificates.

Files that do not fit are refused before the server listens, since gRPC would only log something and
refuse every client.
"""

import ssl
from pathlib import Path

import grpc

from fendan.errors import Fault, refuse
from fendan.server.config import Tls

__all__ = ["check", "server_credentials"]


def server_credentials(tls: Tls) -> grpc.ServerCredentials | None:
    """What a port is opened with; None where no TLS is wanted. Raises FileFormatError."""
    if tls.certificate is None or tls.key is None:
        return None
    check(tls)
    client_ca = None if tls.client_ca is None else _read(tls.client_ca, "tls.client_ca")
    pair = (_read(tls.key, "tls.key"), _read(tls.certificate, "tls.certificate"))
    return grpc.ssl_server_credentials(
        [pair], root_certificates=client_ca, require_client_auth=client_ca is not None
    )


def check(tls: Tls) -> None:
    """Raise FileFormatError where files cannot be read, do not fit together or have expired."""
    if tls.certificate is None or tls.key is None:
        return
    _read(tls.certificate, "tls.certificate")
    _read(tls.key, "tls.key")
    server = _server_context(tls.certificate, tls.key)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _trust(client, tls.certificate, "tls.certificate")
    if tls.client_ca is not None:
        _read(tls.client_ca, "tls.client_ca")
        _trust(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), tls.client_ca, "tls.client_ca")
    try:
        _shake_hands(server, client)
    except ssl.SSLCertVerificationError as error:
        hint = f"clients would refuse it: {error.verify_message}"
        refuse(Fault.BAD_FILE, "tls.certificate", str(tls.certificate), hint=hint)
    except ssl.SSLError as error:
        refuse(Fault.BAD_FILE, "tls.certificate", str(tls.certificate), hint=_said(error))


def _read(path: Path, field: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        refuse(Fault.BAD_FILE, field, str(path), hint=error.strerror or "it cannot be opened")


def _server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # An empty password, so that nobody is asked for one: gRPC could not use it.
        context.load_cert_chain(certificate, key, password="")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            hint = f"it is the key of another certificate than {certificate}"
        else:
            hint = (
                f"no certificate and key in PEM, not encrypted, with {certificate}: {_said(error)}"
            )
        refuse(Fault.BAD_FILE, "tls.key", str(key), hint=hint)
    return context


def _trust(context: ssl.SSLContext, certificates: Path, field: str) -> None:
    try:
        context.load_verify_locations(cafile=certificates)
    except ssl.SSLError as error:
        hint = f"no certificates in PEM: {_said(error)}"
        refuse(Fault.BAD_FILE, field, str(certificates), hint=hint)


def _shake_hands(server: ssl.SSLContext, client: ssl.SSLContext) -> None:
    """Let a client that trusts the server's certificate, and no other, meet it in memory.

    The standard library reads no dates; but it checks them.
    """
    client.check_hostname = False  # clients know the name they call, we do not
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_side=False),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    while ends:
        for end in list(ends):
            try:
                end.do_handshake()
                ends.remove(end)
            except ssl.SSLWantReadError:
                continue


def _said(error: ssl.SSLError) -> str:
    return (error.reason or str(error)).replace("_", " ").lower()
