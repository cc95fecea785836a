"""The ledger as files: JSON Lines, an event a line; Parquet, a row for each movement.

Both have the same fields. In JSON Lines the movements stand in their event. In Parquet the event's
columns are repeated for each movement, and `line` counts them from 1; an event without any has one
row. Times are UTC, to the nanosecond; amounts are in minor units, such as fen.

    sequence, time, kind, order_id, store_id, region, reason, attempts, distance_m, shipment,
    policy_version, step, promised, merge_group, order_type, channel, and of each movement: sku,
    quantity, on_hand_before, on_hand_after, reserved_before, reserved_after, amount

The raw events, those included that serve recovery alone, have codes in place of names: `store` and
`sku` count stores and SKUs from 0, in the order in which the events themselves name them.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from fendan.engine.history import EVERYTHING, Event, Promise, Wanted
from fendan.ledger import (
    EVENTS_PER_PIECE,
    LAST_SEQUENCE,
    MOVEMENTS_PER_PAGE,
    SHOWN,
    Names,
    event_of,
    readings,
)
from fendan.log import Frame, Log
from fendan.model import LedgerEvent
from fendan.times import NS_PER_S

__all__ = [
    "FORMATS",
    "LEDGER",
    "RAW",
    "EventFile",
    "Stretch",
    "iso_time",
    "open_events",
    "write_ledger",
    "write_raw",
]

FORMATS = ("jsonl", "parquet")
ROWS_PER_GROUP = 65_536

Row = dict[str, Any]

MOVEMENTS = "movements"
TIMES = frozenset({"time", "due", "promised"})

# Columns and their types, as pyarrow calls them; and "time" and "strings".
LEDGER_MOVEMENT = {
    "sku": "string",
    "quantity": "int64",
    "on_hand_before": "int32",
    "on_hand_after": "int32",
    "reserved_before": "int32",
    "reserved_after": "int32",
    "amount": "int64",
}
LEDGER = {
    "sequence": "int64",
    "time": "time",
    "kind": "string",
    "order_id": "string",
    "store_id": "string",
    "region": "string",
    "reason": "string",
    "attempts": "int32",
    "distance_m": "float64",
    "shipment": "int32",
    "policy_version": "int32",
    "step": "string",
    "promised": "time",
    "merge_group": "int64",
    "order_type": "string",
    "channel": "string",
    "line": "int32",
    **LEDGER_MOVEMENT,
}
RAW = {
    "sequence": "int64",
    "time": "time",
    "epoch": "int64",
    "kind": "string",
    "order_id": "string",
    "store": "int32",
    "reason": "int32",
    "attempts": "int32",
    "distance_m": "float64",
    "due": "time",
    "lat": "float64",
    "lng": "float64",
    "texts": "strings",
    "policy_version": "int32",
    "order_type": "int32",
    "channel": "int32",
    "order_region": "int32",
    "step": "int32",
    "promised": "time",
    "merge_group": "int64",
    "shipments": "int32",
    "line": "int32",
    **LEDGER_MOVEMENT,
    "sku": "int32",
}

# Raw columns of what was promised, by their names in a Promise.
PROMISE = {
    "policy_version": "policy_version",
    "order_type": "order_type",
    "channel": "channel",
    "order_region": "region",
    "step": "step",
    "promised": "promised_ns",
    "merge_group": "merge_group",
    "shipments": "shipments",
}


def iso_time(time_ns: int) -> str:
    """Nanoseconds since 1970 as ISO 8601, UTC."""
    seconds, nanos = divmod(time_ns, NS_PER_S)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanos:09}Z"


# -- WHAT IS WRITTEN ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Events from one number to another inclusive, and from one time until before another."""

    from_sequence: int = 1
    to_sequence: int
    from_ns: int = 0
    before_ns: int = LAST_SEQUENCE


def write_ledger(
    log: Log,
    names: Names,
    stretch: Stretch,
    file: "EventFile",
    advance: Callable[[int], None] = lambda _: None,
) -> int:
    """Write what the ledger shows of a stretch; returns how many events that are.

    `advance` is told how many events were passed.
    """
    count = 0
    for _, event in _events(log, stretch, Wanted(SHOWN), advance):
        file.add(_ledger_row(event_of(event, names)))
        count += 1
    return count


def write_raw(
    log: Log,
    _names: Names,
    stretch: Stretch,
    file: "EventFile",
    advance: Callable[[int], None] = lambda _: None,
) -> int:
    """Write the events of a stretch as they are kept, in codes; returns how many they are."""
    count = 0
    for frame, event in _events(log, stretch, EVERYTHING, advance):
        file.add(_raw_row(frame, event))
        count += 1
    return count


def _events(
    log: Log, stretch: Stretch, wanted: Wanted, advance: Callable[[int], None]
) -> Iterator[tuple[Frame, Event]]:
    frames = log.read(stretch.from_sequence, stretch.to_sequence)
    for frame, reading in readings(frames, stretch.from_sequence):
        if frame.time_ns >= stretch.before_ns:  # it never goes back
            return
        end = min(reading.end, stretch.to_sequence + 1)
        if frame.time_ns < stretch.from_ns:
            advance(end - reading.sequence)
            continue
        while (before := reading.sequence) < end:
            look_at = min(EVENTS_PER_PIECE, end - before)
            for event in reading.take(look_at, look_at, MOVEMENTS_PER_PAGE, wanted):
                yield frame, event
            advance(reading.sequence - before)


def _ledger_row(event: LedgerEvent) -> Row:
    return {
        "sequence": event.sequence,
        "time": event.time_ns,
        "kind": event.kind.name,
        "order_id": event.order_id,
        "store_id": event.store_id,
        "region": event.region or None,
        "reason": event.reason or None,
        "attempts": event.attempts,
        "distance_m": event.distance_m,
        "shipment": event.shipment or None,
        "policy_version": event.policy_version or None,
        "step": event.step.name if event.step else None,
        "promised": event.promised_ns,
        "merge_group": event.merge_group or None,
        "order_type": event.order_type.name if event.order_type else None,
        "channel": event.channel or None,
        MOVEMENTS: [
            {field: getattr(movement, field) for field in LEDGER_MOVEMENT}
            for movement in event.movements
        ],
    }


def _raw_row(frame: Frame, event: Event) -> Row:
    return {
        "sequence": event.sequence,
        "time": event.time_ns,
        "epoch": frame.epoch,
        "kind": event.kind.name,
        "order_id": event.order_id or None,
        "store": None if event.store < 0 else event.store,
        "reason": event.reason,
        "attempts": event.attempts,
        "distance_m": _number(event.distance_m),
        "due": event.due_ns or None,
        "lat": _number(event.lat),
        "lng": _number(event.lng),
        "texts": [
            text.decode(errors="backslashreplace") if isinstance(text, bytes) else str(text)
            for text in event.texts
        ],
        **_raw_promise(event.grant),
        MOVEMENTS: [move._asdict() for move in event.moves],
    }


def _raw_promise(grant: Promise | None) -> Row:
    """What was promised, in codes; None each where no policy was asked."""
    if grant is None:
        return dict.fromkeys(PROMISE)
    told: Row = grant._asdict()
    return {field: told.get(name) for field, name in PROMISE.items()} | {
        "promised": grant.promised_ns or None
    }


def _number(value: float) -> float | None:
    """JSON knows no NaN."""
    return None if math.isnan(value) else value


# -- FILES -------------------------------------------------------------------------------------


class EventFile(Protocol):
    """A file that events are added to, one after the other; to be closed."""

    def add(self, row: Row) -> None:
        """Write one event."""

    def close(self) -> None:
        """Write what is left."""


@contextmanager
def open_events(path: Path, format: str, columns: Mapping[str, str]) -> Iterator[EventFile]:
    """A new file of one of FORMATS; `columns` are LEDGER or RAW."""
    kinds: dict[str, Callable[[], EventFile]] = {
        "jsonl": lambda: _JsonLines(path),
        "parquet": lambda: _Parquet(path, columns),
    }
    file = kinds[format]()
    try:
        yield file
    finally:
        file.close()


class _JsonLines:
    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8")

    def add(self, row: Row) -> None:
        for field in TIMES & row.keys():
            row[field] = None if row[field] is None else iso_time(row[field])
        self._file.write(json.dumps(row, ensure_ascii=False) + "\n")

    def close(self) -> None:
        self._file.close()


class _Parquet:
    def __init__(self, path: Path, columns: Mapping[str, str]) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        types = {
            "time": pa.timestamp("ns", tz="UTC"),
            "strings": pa.list_(pa.string()),
        }
        fields = [
            (name, types.get(kind) or pa.type_for_alias(kind)) for name, kind in columns.items()
        ]
        self._table_of = partial(pa.Table.from_pylist, schema=pa.schema(fields))
        self._writer = parquet.ParquetWriter(path, pa.schema(fields))
        self._rows: list[Row] = []

    def add(self, row: Row) -> None:
        movements = row.pop(MOVEMENTS) or [{}]
        self._rows += [
            row | movement | ({"line": line} if movement else {})
            for line, movement in enumerate(movements, 1)
        ]
        if len(self._rows) >= ROWS_PER_GROUP:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(self._table_of(self._rows))
            self._rows = []
