"""Where messages are sent, and what came of them: the same for both clients."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from fendan.channel import Address, Tls
from fendan.load.messages import Call, Messages

__all__ = ["NAMES", "UNANSWERED", "UNSENT", "Came", "Target", "Watch", "send"]

UNANSWERED, UNSENT = -1, -2
# Beside those of gRPC: the connection or our patience ended first; it was not even sent.
NAMES = {UNANSWERED: "UNANSWERED", UNSENT: "UNSENT"}

# Called about ten times a second with the latencies and statuses, as in `Came`, of the messages
# that have begun; to be read there and then.
Watch: TypeAlias = Callable[[NDArray[np.int64], NDArray[np.int8]], object]


@dataclass(frozen=True, kw_only=True)
class Target:
    """A server, and how it is called.

    `connections` times `streams` calls can be under way at a time; what is due beyond that waits,
    and its latency goes on. `compiled`: by the compiled client, which knows no streams of orders.
    """

    address: str
    call: Call = Call.UNARY
    connections: int = 8
    streams: int = 1_000
    compiled: bool = True
    token: str | None = None
    tls: Tls | None = None
    token_over_plaintext: bool = False

    def checked(self) -> Address:
        """As both clients of the service see it. Raises InvalidInputError."""
        return Address.of(
            self.address,
            token=self.token,
            tls=self.tls,
            token_over_plaintext=self.token_over_plaintext,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Came:
    """What came of messages; the arrays have an entry for each, in their order.

    `latencies_ns` count from when a message was due; -1: there was no answer. `statuses` are those
    of gRPC, or UNANSWERED, or UNSENT. `said` has the words of the first error of each; `lost`
    counts connections that ended before the last answer. `answers` are those of the messages with
    status 0, one after another as they came: together a BatchRouteResponse.
    """

    latencies_ns: NDArray[np.int64]
    statuses: NDArray[np.int8]
    said: dict[int, str] = field(default_factory=dict)
    lost: int = 0
    answers: bytes = b""


def send(
    target: Target,
    messages: Messages,
    due_ns: NDArray[np.int64],
    *,
    patience_s: float,
    watch: Watch | None = None,
) -> Came:
    """Send each message when it is due, and wait for answers: `patience_s` after the last.

    Raises UnavailableError where no server answers at all, InvalidInputError.
    """
    if target.compiled and target.call is not Call.STREAM:
        from fendan.load import compiled as client
    else:
        from fendan.load import by_grpcio as client  # type: ignore[no-redef]
    return client.send(target, messages, due_ns, patience_s, watch)
