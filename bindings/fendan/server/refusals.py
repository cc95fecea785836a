"""What a server refuses for reasons of its own, in the same words at both doors."""

from collections.abc import Callable
from typing import NoReturn

from fendan.errors import Fault, FendanError, refuse

__all__ = ["DRAINING_HINT", "busy", "draining", "error_of", "failed_inside", "late"]

DRAINING_HINT = "the server is about to stop; try again, maybe elsewhere"


def draining() -> NoReturn:
    """The server accepts nothing more."""
    refuse(Fault.UNAVAILABLE, "server", "draining", hint=DRAINING_HINT)


def busy(waiting: int) -> NoReturn:
    """So many requests wait, and no more may."""
    refuse(Fault.BUSY, "queue", waiting, hint="nothing was done; try again soon")


def late() -> NoReturn:
    """Nobody waits for it any more."""
    refuse(Fault.TIMED_OUT, "deadline", hint="it passed before the work began")


def failed_inside() -> NoReturn:
    """Something went wrong that is none of the caller's business."""
    refuse(Fault.INTERNAL, "server", hint="the server's log says more")


def error_of(refusing: Callable[[], object]) -> FendanError:
    """The error that a function raises, which does nothing else."""
    try:
        refusing()
    except FendanError as error:
        return error
    raise AssertionError(f"{refusing} did not refuse")
