"""Hold every stub of the engine that is built against the compiled module it describes."""

import subprocess
import sys
from pathlib import Path

from built import is_built

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    stubs = [stub.stem for stub in sorted(ROOT.glob("engine/*.pyi")) if is_built(stub.stem)]
    modules = [f"fendan.engine.{stub}" for stub in stubs]
    command = [sys.executable, "-m", "mypy.stubtest", *modules]
    command += ["--mypy-config-file", str(ROOT / "pyproject.toml")]
    command += ["--allowlist", str(ROOT / "tests" / "stubtest_allowlist.txt")]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
