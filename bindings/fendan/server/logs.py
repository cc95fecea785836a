"""What the server says: structured lines, for people on a terminal or for machines as JSON.

Tokens, and whatever else came in the metadata of a call, are never among it.
"""

import logging
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Literal, TextIO

import numpy as np
import structlog

from fendan.engine.router import Status
from fendan.engine.wire import Reply
from fendan.errors import Fault, refuse

__all__ = ["LEVELS", "Format", "Which", "configure", "log", "requested", "routed"]

Format = Literal["console", "json"]
Which = Literal["none", "unassigned", "all"]

LEVELS = ("debug", "info", "warning", "error")

log = structlog.get_logger("fendan")


def configure(format: Format, level: str, stream: TextIO | None = None) -> None:
    """Write lines of `level` (one of LEVELS) and above to `stream`, or else standard error.

    "console" is for people, in colours on a terminal; "json" is one object a line. Times are ISO
    8601 in UTC. To be called once, before the server starts.
    """
    if level not in LEVELS:
        refuse(Fault.OUT_OF_RANGE, "log.level", level, hint=f"must be one of {', '.join(LEVELS)}")
    out = sys.stderr if stream is None else stream
    renderers: dict[str, list[structlog.typing.Processor]] = {
        "console": [
            structlog.dev.ConsoleRenderer(
                colors=out.isatty(),
                sort_keys=False,
                # Prettier ones show the values of variables, and one of them may be a token.
                exception_formatter=structlog.dev.plain_traceback,
            )
        ],
        "json": [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
    }
    if format not in renderers:
        refuse(Fault.OUT_OF_RANGE, "log.format", format, hint="must be console or json")
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *renderers[format],
        ],
        # Lines below the level cost one call that does nothing.
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=lambda *_: _Lines(out),
        cache_logger_on_first_use=False,
    )


class _Lines(structlog.WriteLogger):
    """Writes lines, but for those that cannot be written: a full disk must stop nobody's work."""

    def msg(self, message: str) -> None:
        """Write one line."""
        with suppress(OSError):
            super().msg(message)

    log = debug = info = warn = warning = error = critical = fatal = failure = exception = msg


def requested(method: str, code: str, seconds: float, caller: str) -> None:
    """One call has ended."""
    log.debug("request", method=method, code=code, seconds=round(seconds, 6), caller=caller)


def routed(which: Which, reply: Reply, callers: Callable[[], Sequence[str]]) -> None:
    """Tell of the decisions of one request, as `log.orders` of the configuration asks.

    `callers` says whose orders they are: the one whose all are, or one an order.
    """
    if which == "none":
        return
    rows: Iterable[int] = range(len(reply))
    if which == "unassigned":
        rows = np.flatnonzero(reply.statuses == Status.UNASSIGNED).tolist()
    names = callers()
    for row in rows:
        decision = reply.decision(row)
        log.info(
            "order",
            order_id=decision.order_id,
            status=decision.status.name,
            store_id=decision.store_id,
            distance_m=decision.distance_m,
            reason=decision.reason.name,
            caller=names[row] if len(names) > 1 else names[0],
        )
