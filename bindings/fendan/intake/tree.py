"""Trees of values as platforms write them, JSON, forms or rows, and paths into them.

Numbers stay exact: a price of 0.1 is Decimal("0.1"). Whatever a payload holds, reading it ends in a
tree or in `UnreadableError`.
"""

import csv
import io
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

from fendan.intake.payload import Breakage, UnreadableError

__all__ = ["EACH", "Path", "form_tree", "json_tree", "opened", "rows_of", "text_of"]

# Beyond it Python would take seconds for one number, and no field has so many digits.
MOST_DIGITS = 40

# Forms of platforms have some 60 fields.
MOST_FORM_FIELDS = 1_000


def text_of(data: bytes, encoding: str) -> str:
    """The bytes as text, without a byte order mark: UTF-8, or else `encoding`.

    Texts in another encoding are hardly ever UTF-8 by accident. Raises UnreadableError.
    """
    for name in ("utf-8-sig", encoding):
        with suppress(UnicodeDecodeError):
            return data.decode(name)
    raise UnreadableError(Breakage.BAD_ENCODING, hint=f"neither UTF-8 nor {encoding}")


def json_tree(text: str) -> Any:
    """A JSON text as dicts, lists, str, bool, None, int and Decimal. Raises UnreadableError."""
    try:
        return DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise UnreadableError(Breakage.BAD_SYNTAX, hint=f"{error.msg} at {error.pos}") from None
    except RecursionError:
        raise UnreadableError(Breakage.TOO_DEEP) from None


def form_tree(text: str) -> dict[str, str]:
    """A form, ``a=1&b=%E5``, as its fields. Raises UnreadableError."""
    try:
        pairs = parse_qsl(
            text.strip(),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=MOST_FORM_FIELDS,
        )
    except UnicodeDecodeError:
        raise UnreadableError(Breakage.BAD_ENCODING, hint="a field is not UTF-8") from None
    except ValueError:
        raise UnreadableError(Breakage.BAD_SYNTAX, hint="no form") from None
    return _object(pairs)


def rows_of(text: str) -> list[dict[str, str]]:
    """The rows of a CSV text by the names of its header. Raises UnreadableError."""
    try:
        header, *rows = list(csv.reader(io.StringIO(text, newline=""), strict=True)) or [[]]
    except csv.Error as error:
        raise UnreadableError(Breakage.BAD_SYNTAX, hint=str(error)) from None
    _object([(name, None) for name in header])
    for number, row in enumerate(rows, start=2):
        if row and len(row) != len(header):
            hint = f"row {number} has {len(row)} values, and the header {len(header)}"
            raise UnreadableError(Breakage.BAD_SYNTAX, hint=hint)
    return [dict(zip(header, row, strict=True)) for row in rows if row]


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise UnreadableError(Breakage.DUPLICATE_KEY)
    return found


def _integer(digits: str) -> int | str:
    return int(digits) if len(digits) <= MOST_DIGITS else digits[:MOST_DIGITS] + "…"


def _fraction(digits: str) -> Decimal | str:
    return Decimal(digits) if len(digits) <= MOST_DIGITS else digits[:MOST_DIGITS] + "…"


# NaN and the infinities, which JSON does not have, stay the words they are: no number at all.
DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_fraction, parse_constant=str
)


# -- PATHS ---------------------------------------------------------------------------------------

EACH = "[*]"


@dataclass(frozen=True, slots=True)
class Path:
    """Where in a tree: ``order.items[*].sku``; ``[*]``: each of a list. "" is the tree itself.

    Where a list of one was written as that one alone, as tools that come from XML do, it is taken
    for the list. A text on the way that is JSON itself is read as such, since some platforms send
    JSON within JSON, or within forms.
    """

    steps: tuple[str, ...]

    @classmethod
    def of(cls, text: str, *, is_flat: bool = False) -> "Path":
        """From its text; `is_flat`: all of it is one name, such as a column's."""
        if is_flat:
            return cls((text,) if text else ())
        steps: list[str] = []
        for part in text.split(".") if text else []:
            name, *each = part.split(EACH)
            steps += [*([name] if name else []), *([EACH] * len(each))]
        return cls(tuple(steps))

    def all(self, tree: Any) -> Iterator[Any]:
        """All there is at the path, in order; nothing where the tree is of another shape."""
        return _all(tree, self.steps)

    def first(self, tree: Any) -> Any:
        """The first at the path that says anything, or None."""
        if EACH not in self.steps:  # as most are, and orders have some twenty of them
            for step in self.steps:
                tree = tree if isinstance(tree, dict) else opened(tree)
                if not isinstance(tree, dict):
                    return None
                tree = tree.get(step)
            return None if tree == "" else tree
        for value in _all(tree, self.steps):
            if value is not None and value != "":
                return value
        return None

    def split(self) -> tuple["Path", "Path"]:
        """The path of the first list on it, and the path from there."""
        place = self.steps.index(EACH) if EACH in self.steps else len(self.steps)
        return Path(self.steps[:place]), Path(self.steps[place:])


def _all(tree: Any, steps: tuple[str, ...]) -> Iterator[Any]:
    for number, step in enumerate(steps):
        tree = opened(tree)
        if step == EACH:
            for one in tree if isinstance(tree, list) else [tree]:
                yield from _all(one, steps[number + 1 :])
            return
        if not isinstance(tree, dict) or step not in tree:
            return
        tree = tree[step]
    yield tree


def opened(value: Any) -> Any:
    """The tree in a text that is JSON; anything else as it is. Raises UnreadableError."""
    if isinstance(value, str) and value.lstrip().startswith(("{", "[")):
        return json_tree(value)
    return value
