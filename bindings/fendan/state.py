"""The whole state of an engine as bytes, and back: what a snapshot of the log holds.

    header   64 bytes: magic, format, size of the table; the last event's sequence and time
    table    JSON: the settings; each section's name, type, shape, offset and size in bytes
    data     the sections, raw and little endian, each at a multiple of 64 bytes

Engines that lived through the same commands give the same bytes, whether they were restored on the
way or not. What is no state: the `Policy` an engine was made with, watchers' cursors, and the
changes they have yet to see.
"""

import json
import math
import struct
from collections.abc import Iterator
from functools import cache
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fendan import busy, documents, updates
from fendan.core import Core
from fendan.disk import Buffer
from fendan.engine import recovery, snapshot
from fendan.engine.geo import Datum
from fendan.engine.snapshot import Section, corrupt
from fendan.errors import Fault, refuse
from fendan.updates import Updates

__all__ = ["Moment", "dump", "restore", "state_hash"]

MAGIC = b"fendan\0S"
FORMAT = 2
HEADER = struct.Struct("<8sIIQq32x")
ALIGNMENT = 64  # a cache line, and more than any element needs

KINDS = snapshot.KINDS | updates.KINDS | documents.KINDS | busy.KINDS


class Moment(NamedTuple):
    """What a state is the state after: the last event's sequence and time (ns since 1970)."""

    sequence: int
    time_ns: int


def dump(core: Core, moment: Moment) -> Iterator[Buffer]:
    """The state in parts, as `Log.put_snapshot` takes them; hold the lock until the last is made.

    Beside the engine's own memory it takes some MB.
    """
    table, parts = _body(core)
    yield HEADER.pack(MAGIC, FORMAT, len(table), *moment)
    yield table
    yield from parts


def state_hash(core: Core) -> str:
    """A digest of the state, in hexadecimal; hold the lock. The same after the same commands."""
    table, parts = _body(core)
    digest = blake2b(table, digest_size=32)
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def restore(core: Core, data: memoryview) -> Moment:
    """Put a fresh core into the state that `data` tells of; datum and memory of orders included.

    `data` is copied. Raises CorruptJournalError naming the section that cannot be, NewerFormatError
    for what a later release wrote; then the core is as it was. What derives from documents is the
    caller's to make (`Core._documents_changed`), once events that came later are applied, too.
    """
    moment, settings, arrays = _read(data)
    datum, remembered = settings.get("datum"), settings.get("remembered_orders")
    if datum not in [known.value for known in Datum]:
        corrupt("settings.datum", datum)
    if not isinstance(remembered, int) or not 0 <= remembered < 2**63:
        corrupt("settings.remembered_orders", remembered)
    orders = recovery.restored(arrays, remembered)
    applied = Updates.restored(arrays, len(orders.stock.network.store_ids))
    kept = documents.restored(arrays)
    orders.events = core._orders.events
    core._adopt(Datum(datum), orders, applied)
    for (kind, name), text in kept.items():
        core._keep_document(kind, name, text)
    busy.restore(orders, kept, arrays, moment.time_ns)
    return moment


# -- OUT ---------------------------------------------------------------------------------------


def _body(core: Core) -> tuple[bytes, Iterator[Buffer]]:
    """The table, padded to where the data begins, and the parts of the data."""
    sections = [
        *snapshot.sections(core._orders),
        *core._updates.sections(),
        *documents.sections(core._documents),
        *busy.sections(core._orders),
    ]
    settings = {"datum": core._datum.value, "remembered_orders": core._orders.remembered}
    rows, offset = [], 0
    for section in sections:
        size = math.prod(section.shape) * section.dtype.itemsize
        rows.append([section.name, _described(section.dtype), section.shape, offset, size])
        offset = _aligned(offset + size)
    table = json.dumps({"settings": settings, "sections": rows}, separators=(",", ":")).encode()
    return table.ljust(_aligned(len(table))), _padded(sections)


def _padded(sections: list[Section]) -> Iterator[Buffer]:
    """The parts of all sections, each section filled up with zeros to the next one's place."""
    for section in sections:
        size = 0
        for part in section.parts:
            size += len(part)
            yield part
        if size % ALIGNMENT:
            yield bytes(_aligned(size) - size)


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


@cache
def _described(dtype: np.dtype[Any]) -> Any:
    """A type as JSON: a str, or the fields of a record; not to be changed."""
    return json.loads(json.dumps(np.lib.format.dtype_to_descr(dtype)))


# -- BACK --------------------------------------------------------------------------------------


def _read(data: memoryview) -> tuple[Moment, dict[str, Any], dict[str, NDArray[Any]]]:
    """The moment, the settings, and an array for each of KINDS, which points into `data`."""
    if len(data) < HEADER.size:
        corrupt("header", len(data), hint=f"must have {HEADER.size} bytes")
    magic, version, size, sequence, time_ns = HEADER.unpack_from(data)
    if magic != MAGIC:
        corrupt("header", magic, hint="not the state of an engine")
    if version > FORMAT:
        hint = f"this release reads format {FORMAT}; a newer one wrote it"
        refuse(Fault.NEWER_FORMAT, "snapshot.header", version, hint=hint)
    table = _table(data[HEADER.size : HEADER.size + size], size)
    body = data[HEADER.size + size :]
    arrays = {
        name: _array(name, table["sections"].get(name), body, dtype, tail)
        for name, (dtype, tail) in KINDS.items()
    }
    return Moment(sequence, time_ns), table["settings"], arrays


def _table(data: memoryview, size: int) -> dict[str, Any]:
    """The table of contents, with its sections by name."""
    try:
        if len(data) != size:
            raise ValueError(f"must have {size} bytes")
        table = json.loads(bytes(data))
        sections = {name: rest for name, *rest in table["sections"]}
        return {"settings": dict(table["settings"]), "sections": sections}
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        corrupt("table", len(data), hint=str(error))


def _array(
    name: str, row: Any, body: memoryview, dtype: np.dtype[Any], tail: tuple[int, ...]
) -> NDArray[Any]:
    """One section where the table says that it stands."""
    if not isinstance(row, list) or len(row) != 4:
        corrupt(name, row, hint="missing, or not told of in full")
    described, shape, offset, size = row
    numbers = [offset, size, *shape] if isinstance(shape, list) else [None]
    if not all(type(number) is int and number >= 0 for number in numbers):
        corrupt(name, row, hint="shape, offset and size must be whole numbers")
    if described != _described(dtype) or tuple(shape[1:]) != tail or not shape:
        corrupt(name, row, hint=f"must be {dtype} of shape (n, *{tail})")
    if size != math.prod(shape) * dtype.itemsize or offset % ALIGNMENT or offset + size > len(body):
        corrupt(name, row, hint="beyond the data, or of another size than its shape")
    return np.ndarray(tuple(shape), dtype=dtype, buffer=body[offset : offset + size])
