"""How a client reaches the service: where, as whom, how patiently.

What the two clients, `fendan.Client` and `fendan.aio.Client`, have in common below their methods.
"""

import math
import random
import re
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from numbers import Real
from pathlib import Path
from typing import Any, Protocol, TypeAlias, TypeVar

try:
    import grpc
except ImportError as missing:
    raise ImportError("the client needs grpcio: pip install 'fendan[client]'") from missing

from google.protobuf.message import DecodeError, Message

from fendan.details import error_of, retry_after_ms_of
from fendan.errors import TABLE, Fault, FendanError, refuse

__all__ = [
    "TIMEOUT_S",
    "Address",
    "Call",
    "Exchange",
    "Failure",
    "Following",
    "Retries",
    "RpcError",
    "Tls",
    "checked_s",
    "message_of",
    "service_error",
]

RpcError = grpc.RpcError

# Long enough for a server to be started again, short enough for a person who waits.
TIMEOUT_S = 10.0

# 100,000 decisions with ids as long as they may be come to 54 MB.
MOST_ANSWER_BYTES = 64 * 1024 * 1024

# What asynchronous gRPC makes of a connection that breaks while something is written.
WRITE_FAILED = "Internal error from Core"

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
M = TypeVar("M", bound=Message)


# -- CALLS -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Call:
    """One call to be made: its method's full name, what to send, and how to read what returns.

    `repeatable`: done twice is as good as done once, so it may be sent again when nobody knows
    whether it arrived.
    """

    method: str
    request: bytes
    read: Callable[[bytes], Any] = bytes
    repeatable: bool = True

    @classmethod
    def of(
        cls, method: str, request: Message, answer: type[Message], repeatable: bool = True
    ) -> "Call":
        """A call by messages."""
        return cls(method, request.SerializeToString(), partial(message_of, answer), repeatable)


def message_of(kind: type[M], data: bytes) -> M:
    """Read a message of the service. Raises MalformedMessageError where it is none."""
    try:
        return kind.FromString(data)
    except DecodeError as problem:
        raise service_error(Fault.BAD_MESSAGE, f"the service sent no {kind.__name__}") from problem


# What one method of a client comes to: it yields calls, is sent their answers (or thrown their
# errors), and returns a T. Whether it is waited for with a thread or a coroutine, it need not know.
Exchange: TypeAlias = Generator[Call, Any, T]


class Following(Protocol[T_co]):
    """A stream that a client follows over broken connections: how far it has got, it knows."""

    method: str

    def request(self) -> bytes:
        """What to ask for now."""

    def heard(self, data: bytes) -> T_co:
        """What one message says; from now on the stream goes on after it."""

    def broke(self) -> None:
        """The connection broke."""


# -- PATIENCE ----------------------------------------------------------------------------------


def checked_s(timeout_s: object) -> float:
    """A timeout in seconds; refuses what is none."""
    if isinstance(timeout_s, bool) or not isinstance(timeout_s, Real):
        refuse(Fault.WRONG_TYPE, "timeout_s", timeout_s, hint="must be a number of seconds")
    seconds = float(timeout_s)
    if not 0.0 < seconds < math.inf:
        refuse(Fault.OUT_OF_RANGE, "timeout_s", timeout_s, hint="must be more than 0 seconds")
    return seconds


def service_error(fault: Fault, message: str) -> FendanError:
    """What became of a call, where it is not the service that says so."""
    return TABLE[fault].exception(message, fault=fault, field="")


class Failure:
    """A call that failed: what a caller is told, and whether and when it may be tried again."""

    def __init__(self, error: FendanError, after_s: float | None = None) -> None:
        self.error = error
        # None: the server has not said that it did nothing, and when to come back.
        self.after_s = after_s

    @classmethod
    def of(cls, rpc_error: grpc.RpcError) -> "Failure":
        """What gRPC raised."""
        error = error_of(rpc_error)
        if error.fault is Fault.INTERNAL and WRITE_FAILED in error.message:
            error = service_error(Fault.UNAVAILABLE, "the connection broke")
        after_ms = retry_after_ms_of(rpc_error)
        return cls(error, after_ms / 1_000 if after_ms else None)

    def may_pass(self, repeatable: bool) -> bool:
        """Whether the same call may be made again, with hope and without harm.

        A busy service has done nothing. An unreachable one, who knows, unless it said so itself.
        """
        if self.error.fault is Fault.BUSY:
            return True
        return self.error.fault is Fault.UNAVAILABLE and (repeatable or self.after_s is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """How often, and after what pauses, a call is tried again that may yet succeed.

    Before try n + 1 a client waits for as long as the server asked, and a random part of
    `first_wait_s` * 2^n, at most of `longest_wait_s`: random, so that a thousand clients do not all
    come back in the same moment. No wait goes beyond the call's timeout.

    `most`: tries after the first; 0 for none. `jitter`: where the random numbers from 0 to 1 come
    from.
    """

    most: int = 10
    first_wait_s: float = 0.05
    longest_wait_s: float = 2.0
    jitter: Callable[[], float] = random.random

    def wait_s(self, failure: Failure, tries: int) -> float:
        """How long to wait after so many tries that failed before this one."""
        # Beyond 2^30 only overflow would change.
        backoff_s = min(self.longest_wait_s, self.first_wait_s * 2.0 ** min(tries, 30))
        return (failure.after_s or 0.0) + backoff_s * self.jitter()


# -- ADDRESS -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """The PEM files of a TLS connection.

    `ca`: whose certificates are trusted; None means the authorities that gRPC ships with.
    `certificate` and `key`: who this client is, for mutual TLS; both or neither.
    """

    ca: str | Path | None = None
    certificate: str | Path | None = None
    key: str | Path | None = None

    def credentials(self) -> grpc.ChannelCredentials:
        """Read the files. Raises FileFormatError, naming the one that cannot be read."""
        if (self.certificate is None) is not (self.key is None):
            missing = "tls.key" if self.key is None else "tls.certificate"
            refuse(Fault.MISSING, missing, hint="a certificate and its key go together")
        return grpc.ssl_channel_credentials(
            root_certificates=_file("tls.ca", self.ca),
            private_key=_file("tls.key", self.key),
            certificate_chain=_file("tls.certificate", self.certificate),
        )


def _file(field: str, path: str | Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        return Path(path).read_bytes()
    except OSError as problem:
        refuse(Fault.BAD_FILE, field, str(path), hint=str(problem.strerror))


@dataclass(frozen=True, slots=True)
class Address:
    """Where the service is, and what every call there brings along."""

    target: str
    credentials: grpc.ChannelCredentials | None
    options: tuple[tuple[str, Any], ...]
    metadata: tuple[tuple[str, str], ...]

    @classmethod
    def of(
        cls, target: str, *, token: str | None, tls: Tls | None, token_over_plaintext: bool
    ) -> "Address":
        """Check what a client was given.

        A token that anyone on the way can read is none: without TLS it is sent to this machine
        only, unless `token_over_plaintext` says that the network is trusted.
        """
        if not isinstance(target, str):
            refuse(
                Fault.WRONG_TYPE, "target", target, hint="must be a str such as '10.0.0.1:50051'"
            )
        if not target:
            refuse(Fault.MISSING, "target", target, hint="must name a host and a port")
        is_here = _is_loopback(target)
        if token is not None:
            # Errors do not show it: they end up in logs.
            if not isinstance(token, str) or not re.fullmatch(r"[!-~]+", token):
                refuse(Fault.WRONG_TYPE, "token", hint="must be a str of visible ASCII characters")
            if tls is None and not is_here and not token_over_plaintext:
                hint = "a token needs TLS on its way to another machine; or token_over_plaintext"
                refuse(Fault.MISSING, "tls", hint=hint)
        return cls(
            target=target,
            credentials=None if tls is None else tls.credentials(),
            options=(
                ("grpc.max_receive_message_length", MOST_ANSWER_BYTES),
                # A server that starts again is found again soon: gRPC's own first wait is 1 s.
                ("grpc.initial_reconnect_backoff_ms", 100),
                ("grpc.max_reconnect_backoff_ms", 2_000),
                # Whoever is cut off without a word is missed within a minute, not within hours.
                ("grpc.keepalive_time_ms", 30_000),
                ("grpc.keepalive_timeout_ms", 20_000),
                # What never leaves this machine must not pass through a proxy elsewhere.
                ("grpc.enable_http_proxy", 0 if is_here else 1),
            ),
            metadata=() if token is None else (("authorization", f"Bearer {token}"),),
        )

    def channel(self) -> grpc.Channel:
        """Connections for threads; they are made when there is something to send."""
        if self.credentials is None:
            return grpc.insecure_channel(self.target, self.options)
        return grpc.secure_channel(self.target, self.credentials, self.options)

    def aio_channel(self) -> grpc.aio.Channel:
        """Connections for the event loop that runs."""
        if self.credentials is None:
            return grpc.aio.insecure_channel(self.target, self.options)
        return grpc.aio.secure_channel(self.target, self.credentials, self.options)

    def __repr__(self) -> str:
        return f"Address({self.target!r})"  # and not the token


def _is_loopback(target: str) -> bool:
    """Whether every address of a gRPC target is this machine's own."""
    if target.startswith(("unix:", "unix-abstract:")):
        return True
    addresses = re.sub(r"^(dns:(///)?|ipv4:|ipv6:)", "", target).split(",")
    loopback = r"(127\.\d+\.\d+\.\d+|localhost|\[::1\])(:\d+)?"
    return all(re.fullmatch(loopback, address) for address in addresses)
