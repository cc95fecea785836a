"""How the native door ends calls by itself: in the words of the other port, made once at the start.

It knows them by name: whoever is refused before the engine hears of it must not cost Python
anything.
"""

import grpc

from fendan.details import TOO_LARGE
from fendan.engine.door import Ending
from fendan.errors import Fault, FendanError, refuse
from fendan.server import refusals
from fendan.server.access import caller_of
from fendan.server.config import Config
from fendan.server.status import status_of
from fendan.server.tokens import Tokens

__all__ = ["ending_of", "endings"]

NOBODYS = Tokens([])

TOO_LARGE_STATUS: int = grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]


def ending_of(error: FendanError) -> Ending:
    """How a call ends that `error` was raised for."""
    status = status_of(error)
    return Ending(status.code, status.message, status.SerializeToString())


def endings(config: Config, elsewhere: str) -> dict[str, Ending]:
    """All of them. `elsewhere`: the address of the port that has every method."""

    def not_served() -> None:
        hint = f"the native door has the hot ones only; all are at {elsewhere}"
        refuse(Fault.UNIMPLEMENTED, "method", "(not hot)", hint=hint)

    refused = {
        "no_token": lambda: caller_of(NOBODYS, []),
        "bad_header": lambda: caller_of(NOBODYS, ["(malformed)"]),
        "unknown_token": lambda: caller_of(NOBODYS, ["Bearer (hidden)"]),
        "not_served": not_served,
        "busy": lambda: refusals.busy(config.limits.queue_requests),
        "draining": refusals.draining,
        "late": refusals.late,
        "internal": refusals.failed_inside,
    }
    said = {name: ending_of(refusals.error_of(refusing)) for name, refusing in refused.items()}
    # What gRPC says itself on the other port, and our clients know it by.
    too_large = f"{TOO_LARGE} ({config.limits.message_bytes:,} bytes)"
    return said | {"too_large": Ending(TOO_LARGE_STATUS, too_large, b"")}
