"""What a server refuses for reasons of its own, in the same words at both doors."""

from collections.abc import Callable
from typing import NoReturn

from fendan.errors import Fault, FendanError, refuse

__all__ = [
    "DRAINING_HINT",
    "busy",
    "draining",
    "error_of",
    "failed_inside",
    "late",
    "without_frames",
]

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


def without_frames(error: FendanError) -> FendanError:
    """The error, and those it came of, without the frames they came through.

    Those hold the request, and who waited for the error: circles, which only the garbage collector
    finds. It counts objects and not bytes, so that refused requests of full size would pile up.
    """
    link: BaseException | None = error
    while link is not None:
        link.__traceback__ = None
        link = link.__cause__ or link.__context__
    return error
