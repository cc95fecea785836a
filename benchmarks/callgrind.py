"""callgrind: what a script of this folder executes between two points, counted one by one.

The processor is valgrind's, which knows AVX2 and no AVX-512, so what is counted is the AVX2 version
of the vectorised loops.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from compiled import compiler, shared_library

LONGEST_S = 1200
COUNTING = "counting.c"
INSTRUCTIONS = "Ir"  # what callgrind calls them

Events = dict[str, int]


class CannotCountError(Exception):
    """Something is missing here, or other than where a record was made."""


def check_tools() -> None:
    """Raises CannotCountError without a tool."""
    if shutil.which("valgrind") is None:
        raise CannotCountError("there is no valgrind here")
    if not compiler():
        raise CannotCountError("there is no C compiler here")


def events_of(script: str, *words: str, options: Sequence[str] = ()) -> dict[str, Events]:
    """What happened, by callgrind's name for it, in each piece of work that a script tells of.

    The last word on the script's command line is the library of counting.c; `options` are
    callgrind's. Raises CannotCountError where that is not possible.
    """
    check_tools()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            shared_library(COUNTING, folder, options=("-O1",))
        except subprocess.CalledProcessError:
            raise CannotCountError("there is no valgrind/callgrind.h here") from None
        command = [
            *("valgrind", "--quiet", "--tool=callgrind", "--instr-atstart=no", *options),
            f"--callgrind-out-file={folder / 'counts'}",
            *(sys.executable, script, *words, str((folder / COUNTING).with_suffix(".so"))),
        ]
        run(command)
        return _read(folder)


def run(command: Sequence[str]) -> str:
    """What a command prints, in surroundings that are the same every time.

    Names are hashed with Python's key, which must be the same; and of what else is in the
    environment, nothing should matter.
    """
    needed = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    surrounding = {**needed, "PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1"}
    ran = subprocess.run(
        command, env=surrounding, capture_output=True, text=True, timeout=LONGEST_S, check=False
    )
    if ran.returncode:
        raise RuntimeError(f"what is counted failed:\n{ran.stdout}{ran.stderr}")
    return ran.stdout


def _read(folder: Path) -> dict[str, Events]:
    """A file each time that callgrind was told to write one; another, of nothing, at the end."""
    found = {}
    for path in folder.glob("counts.*"):
        text = path.read_text(encoding="utf-8")
        name = re.search(r"^desc: Trigger: Client Request: (\w+)$", text, re.MULTILINE)
        events = re.search(r"^events: (.+)$", text, re.MULTILINE)
        totals = re.search(r"^totals: (.+)$", text, re.MULTILINE)
        if name and events and totals:
            # Zeros at the end are left out.
            counts = [*map(int, totals[1].split())]
            names = events[1].split()
            counts += [0] * (len(names) - len(counts))
            found[name[1]] = dict(zip(names, counts, strict=True))
    return found
