"""C beside the benchmarks, compiled when it is needed: no part of Fendan, and not installed."""

import ctypes
import os
import shlex
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
# As the engine is compiled (setup.py), and for this very processor, which the engine is not.
OPTIMISED = ("-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math")


def compiler() -> list[str]:
    """The C compiler as CC says; empty where there is none."""
    command = shlex.split(os.environ.get("CC", "cc"))
    return command if shutil.which(command[0]) else []


def shared_library(source: str, folder: Path, options: tuple[str, ...] = OPTIMISED) -> ctypes.CDLL:
    """A source file of this folder as a library that is kept in `folder`."""
    library = (folder / source).with_suffix(".so")
    command = [*compiler(), "-shared", "-fPIC", *options, "-o", str(library), str(HERE / source)]
    subprocess.run([*command, "-lm"], check=True)
    return ctypes.CDLL(str(library))
