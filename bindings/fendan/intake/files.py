"""Files of orders as payloads: JSON, JSON Lines, CSV, or one payload as it came.

```
 orders.json     [ {…}, {…}, … ]      an element a payload; or the whole of it, if it is no list
 orders.jsonl    {…}                  a line a payload
 orders.csv      header, rows         the rows of one order a payload, under the header
 orders.form     a=1&b=2              a line a payload
```

What cannot be taken apart is a payload all the same, and an exception when it is read.
"""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from fendan.errors import Fault, refuse
from fendan.intake.mapping import Mapping
from fendan.intake.payload import RawPayload, UnreadableError
from fendan.intake.tree import text_of

__all__ = ["for_file", "payloads_in"]

LIST_FILES = (".json",)
LINE_FILES = (".jsonl", ".ndjson", ".form", ".txt")
TABLE_FILES = (".csv",)

# A day of a large chain is a tenth of it.
MOST_FILE_BYTES = 4 * 1024**3


def for_file(mapping: Mapping, path: Path) -> Mapping:
    """The mapping to read a file by: of a table the fields are columns, whatever else they are."""
    suffix = path.suffix.lower()
    if suffix not in (*LIST_FILES, *LINE_FILES, *TABLE_FILES):
        known = ", ".join((*LIST_FILES, *LINE_FILES, *TABLE_FILES))
        refuse(Fault.BAD_FILE, "file", str(path), hint=f"the name must end in one of {known}")
    is_table = suffix in TABLE_FILES
    return replace(mapping, format="csv") if is_table else mapping


def payloads_in(path: Path, mapping: Mapping) -> Iterator[RawPayload]:
    """The payloads of a file, in its order. Raises FileFormatError where it cannot be opened."""
    try:
        if path.stat().st_size > MOST_FILE_BYTES:
            refuse(Fault.BAD_FILE, "file", str(path), hint="it has more than 4 GiB")
        data = path.read_bytes()
    except OSError as error:
        hint = error.strerror or "it cannot be opened"
        refuse(Fault.BAD_FILE, "file", str(path), hint=hint)
    for part in _parts(data, path.suffix.lower(), mapping):
        yield RawPayload(platform=mapping.name, data=part)


def _parts(data: bytes, suffix: str, mapping: Mapping) -> Iterator[bytes]:
    if suffix in LINE_FILES:
        yield from (line for line in data.splitlines() if line.strip())
        return
    try:
        text = text_of(data, mapping.encoding)
    except UnreadableError:
        yield data
        return
    if suffix in TABLE_FILES:
        yield from _orders_of_table(text, mapping)
    else:
        yield from (part.encode() for part in _elements(text))


def _elements(text: str) -> Iterator[str]:
    """The elements of a list as they are written; what comes after a mistake stays in one piece."""
    decoder = json.JSONDecoder()
    spaces = " \t\r\n"
    place = len(text) - len(text.lstrip(spaces))
    if not text.startswith("[", place):
        yield text
        return
    while True:
        place += 1
        while place < len(text) and text[place] in spaces:
            place += 1
        try:
            _, end = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            if text[place:].strip(spaces) != "]":
                yield text[place:]
            return
        yield text[place:end]
        place = end
        while place < len(text) and text[place] in spaces:
            place += 1
        if not text.startswith(",", place):
            if text[place:].strip(spaces) != "]":
                yield text[place:]
            return


def _orders_of_table(text: str, mapping: Mapping) -> Iterator[bytes]:
    """The rows of each order, wherever they stand, in the order of the first."""
    lines = list(io.StringIO(text, newline=""))
    reader = csv.reader(lines, strict=True)
    rows_of: dict[str, list[list[str]]] = {}
    header: list[str] = []
    read = 0  # lines of whole rows
    try:
        header = next(reader, [])
        read = reader.line_num
        names = mapping.order["order_id"].paths
        at = next((header.index(name) for name in names if name in header), None)
        for row in reader:
            if row:
                name = row[at] if at is not None and at < len(row) else ""
                rows_of.setdefault(name, []).append(row)
            read = reader.line_num
    except csv.Error:
        pass  # what is left stays in one piece
    for rows in rows_of.values():
        table = io.StringIO(newline="")
        csv.writer(table, lineterminator="\n").writerows([header, *rows])
        yield table.getvalue().encode()
    if read < len(lines):
        yield "".join((*lines[: 1 if read else 0], *lines[read:])).encode()
