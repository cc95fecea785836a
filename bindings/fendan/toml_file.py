"""TOML as far as its syntax: a file or a text to tables, with errors that name file and line."""

import difflib
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

from fendan.errors import Fault, refuse

__all__ = ["did_you_mean", "parsed", "read", "read_text"]

# Room for a hundred thousand tokens; what is larger is another file, given by mistake.
MOST_FILE_BYTES = 16 * 1024 * 1024

# In a line. A key a.a.a… takes the square of its parts to read: with all that fit, for hours.
MOST_DOTS = 100

TOO_MANY_DIGITS = "a number in it has more digits than can be read"

LINE = re.compile(r"line (\d+)")


def read(path: Path) -> dict[str, Any]:
    """The tables of a TOML file. Raises FileFormatError naming the file and, if known, the line."""
    text = read_text(path)
    try:
        return _loaded(text)
    except tomllib.TOMLDecodeError as error:
        _cannot_be_read(path, f"it is not TOML: {error}")
    except ValueError:
        _cannot_be_read(path, TOO_MANY_DIGITS)
    except RecursionError:
        _cannot_be_read(path, "it is nested too deeply")


def read_text(path: Path, most_bytes: int = MOST_FILE_BYTES) -> str:
    """The text of a file, as it stands. Raises FileFormatError naming the file."""
    try:
        with path.open("rb") as file:
            data = file.read(most_bytes + 1)
    except OSError as error:
        _cannot_be_read(path, error.strerror or "it cannot be opened")
    if len(data) > most_bytes:
        _cannot_be_read(path, f"it has more than {most_bytes:,} bytes")
    try:
        return data.decode("utf-8-sig")  # some editors begin a file with a mark
    except UnicodeDecodeError:
        _cannot_be_read(path, "it is not UTF-8")


def _cannot_be_read(path: Path, hint: str) -> NoReturn:
    refuse(Fault.BAD_FILE, "file", str(path), hint=hint)


def parsed(text: str, field: str, *, where: str = "") -> dict[str, Any]:
    """The tables of a TOML text; `field` and `where` are what errors call it.

    Raises FileFormatError saying the line and the column, and showing the line.
    """
    try:
        return _loaded(text)
    except tomllib.TOMLDecodeError as error:
        lines = text.splitlines()
        found = LINE.search(str(error))  # else it ends too early
        number = int(found[1]) if found else len(lines)
        line = lines[number - 1].strip() if 0 < number <= len(lines) else ""
        refuse(Fault.BAD_FILE, field, line, where=where, hint=f"it is not TOML: {error}")
    except ValueError:
        refuse(Fault.BAD_FILE, field, text, where=where, hint=TOO_MANY_DIGITS)
    except RecursionError:
        refuse(Fault.BAD_FILE, field, text, where=where, hint="it is nested too deeply")


def _loaded(text: str) -> dict[str, Any]:
    """What tomllib makes of it, unless that would take for ever."""
    for line in text.splitlines():
        if line.count(".") > MOST_DOTS and not line.lstrip().startswith("#"):
            raise RecursionError("a key of too many parts")
    return tomllib.loads(text)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``; did you mean INSTANT?``, or nothing where no known word is near."""
    by_small = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), by_small, n=1)
    return f"; did you mean {by_small[near[0]]}?" if near else ""
