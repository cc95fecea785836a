"""Hold every stub of the engine against the compiled module it describes."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    modules = [f"fendan.engine.{stub.stem}" for stub in sorted(ROOT.glob("engine/*.pyi"))]
    command = [sys.executable, "-m", "mypy.stubtest", *modules]
    command += ["--mypy-config-file", str(ROOT / "pyproject.toml")]
    command += ["--allowlist", str(ROOT / "tests" / "stubtest_allowlist.txt")]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
