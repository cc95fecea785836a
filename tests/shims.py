"""Libraries that make calls of the C library fail, for LD_PRELOAD."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

__all__ = ["shim_of"]

TESTS = Path(__file__).parent


def shim_of(source: str, folder: Path) -> Path:
    """The library made of a file of C beside the tests, in a folder; skips where it cannot be."""
    if sys.platform != "linux" or shutil.which("cc") is None:
        pytest.skip("needs Linux and a C compiler")
    library = (folder / source).with_suffix(".so")
    command = ["cc", "-shared", "-fPIC", "-o", str(library), str(TESTS / source), "-ldl"]
    subprocess.run(command, check=True)
    return library
