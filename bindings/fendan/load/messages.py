"""Messages as bytes, made once and sent again and again: only the ids of their orders change.

    pool      message 0         message 1         ...       each of `per_message` orders
              │..id..│..id..│   │..id..│..id..│
    _places       ▲      ▲          ▲      ▲                where the number in an id stands

    id        load-18f0c2d3e4a5-000000042                   this run's name, and the order's number

A server answers an id that it knows from memory, so every order needs one that it has not seen. All
ids are of one length: giving a million orders new ones is to write nine digits a million times, and
no order is a Python object while a clock runs.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from fendan.engine import wire
from fendan.errors import Fault, refuse
from fendan.model import Order

__all__ = ["Call", "Messages", "Pool", "Reserved", "field_ends"]

SERVICE = "/fendan.v1.RoutingService"
DIGITS = 9
# A sending stands in memory three times for a moment.
MOST_BYTES = 1 << 30


class Call(StrEnum):
    """The method by which orders are sent."""

    UNARY = "unary"
    BATCH = "batch"
    STREAM = "stream"

    @property
    def method(self) -> str:
        """Its full name."""
        names = {Call.UNARY: "Route", Call.BATCH: "BatchRoute", Call.STREAM: "StreamRoute"}
        return f"{SERVICE}/{names[self]}"


class Reserved(StrEnum):
    """What becomes of the stock that orders reserve."""

    RELEASE = "release"
    KEEP = "keep"
    DRY_RUN = "dry-run"


@dataclass(frozen=True, eq=False)
class Messages:
    """Messages to be sent once: number i is ``data[offsets[i]:offsets[i + 1]]``.

    Its orders are those from ``first + i * per_message`` on.
    """

    data: bytes
    offsets: NDArray[np.int64]
    per_message: int
    first: int
    prefix: str

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def ids(self, message: int) -> list[str]:
        """The ids of a message's orders."""
        begin = self.first + message * self.per_message
        return [f"{self.prefix}{at:0{DIGITS}d}" for at in range(begin, begin + self.per_message)]


class Pool:
    """Makes messages out of `orders`, in turn, `per_message` of them in each.

    `dry_run`: the server is to decide, but to reserve nothing. `name`: what ids begin with; the
    present moment, where it is left out.
    """

    def __init__(
        self,
        orders: Sequence[Order],
        *,
        per_message: int = 1,
        dry_run: bool = False,
        name: str | None = None,
    ) -> None:
        if not orders:
            refuse(Fault.MISSING, "orders", hint="there is nothing to send")
        self.per_message = per_message
        self._prefix = f"load-{time.time_ns():x}-" if name is None else name
        self._next = 0
        end = wire.write_request([], dry_run=dry_run)
        empty = f"{self._prefix}{0:0{DIGITS}d}"
        parts = [wire.write_request([replace(order, id=empty)]) for order in orders]
        prefix = self._prefix.encode()
        count = -(-len(parts) // per_message)  # messages; the last is filled from the beginning
        pieces: list[bytes] = []
        places, offsets, at = [], [0], 0
        for number in range(count * per_message):
            part = parts[number % len(parts)]
            places.append(at + part.index(prefix) + len(prefix))
            pieces.append(part)
            at += len(part)
            if (number + 1) % per_message == 0:
                pieces.append(end)
                at += len(end)
                offsets.append(at)
        self._data = np.frombuffer(b"".join(pieces), dtype=np.uint8)
        self._places = np.array(places, dtype=np.int64)
        self._sizes = np.diff(np.array(offsets, dtype=np.int64))

    def take(self, count: int) -> Messages:
        """So many messages of orders that were not sent before. Raises InvalidInputError."""
        turns = -(-count // len(self._sizes))
        orders = count * self.per_message
        if turns * len(self._data) > MOST_BYTES:
            hint = f"at a time at most {MOST_BYTES >> 20:,} MiB: shorten the steps or the rate"
            refuse(Fault.TOO_MANY, "orders", orders, hint=hint)
        if self._next + orders > 10**DIGITS:
            refuse(Fault.TOO_MANY, "orders", orders, hint=f"a run has at most {10**DIGITS:,}")
        first, self._next = self._next, self._next + orders
        offsets = np.concatenate([[0], np.cumsum(np.tile(self._sizes, turns)[:count])])
        data = np.tile(self._data, turns)[: offsets[-1]]
        starts = np.repeat(np.arange(turns, dtype=np.int64) * len(self._data), len(self._places))
        places = (np.tile(self._places, turns) + starts)[:orders]
        numbers = np.arange(first, first + orders)
        for digit in range(DIGITS - 1, -1, -1):
            numbers, last = np.divmod(numbers, 10)
            data[places + digit] = last + ord("0")
        return Messages(data.tobytes(), offsets, self.per_message, first, self._prefix)


def field_ends(data: bytes) -> Iterator[int]:
    """Where each field of a message ends; all have a tag of one byte and a length.

    So each order of a BatchRouteRequest, and each decision of a response, is found in it.
    """
    at = 0
    while at < len(data):
        size, shift, at = 0, 0, at + 1
        while True:
            byte = data[at]
            at += 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        at += size
        yield at
