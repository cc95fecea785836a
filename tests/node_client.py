"""The example in Node: a client of another language, with its stock gRPC library."""

import subprocess
from pathlib import Path

__all__ = ["NODE", "node"]

NODE = Path(__file__).parent / "node"


def node(*arguments: str) -> str:
    """What the example prints."""
    done = subprocess.run(
        ["node", "route.mjs", *arguments],
        cwd=NODE,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
