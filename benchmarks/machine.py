"""What a number was measured on: a benchmark without its machine says nothing."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")
PACKAGES = ("fendan", "numpy", "scipy", "pyarrow")
VECTOR_FLAGS = ("avx2", "avx512f")


def machine() -> dict[str, str]:
    """Processor, cores, system and versions, by label."""
    cpu = _cpu_info()
    flags = cpu.get("flags", "").split()
    return {
        "processor": cpu.get("model name") or platform.processor() or platform.machine(),
        "cores": str(os.cpu_count()),
        "vectors": " ".join(flag for flag in VECTOR_FLAGS if flag in flags) or "unknown",
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }


def _cpu_info() -> dict[str, str]:
    """What Linux says of the first core; empty elsewhere."""
    if not CPU_INFO.exists():
        return {}
    first = CPU_INFO.read_text().split("\n\n", 1)[0]
    pairs = (line.split(":", 1) for line in first.splitlines() if ":" in line)
    return {label.strip(): value.strip() for label, value in pairs}
