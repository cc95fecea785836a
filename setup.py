"""Build the compiled engine and the generated protobuf modules.

Everything that can be declared lives in pyproject.toml; this file holds only what setuptools
cannot express there: protoc, Cython, its gate on performance hints, and the compiler's flags.

FENDAN_DEBUG=1      bounds checks and no optimisation, for hunting a crash
FENDAN_SANITIZE     address,undefined or thread: with these sanitizers; see `make sanitize`
FENDAN_DOOR=0       without the native door, whatever the machine has
CYTHON_CACHE_DIR    keep there what Cython made, for the next build of the same sources
"""

import multiprocessing
import os
import platform
import shlex
import subprocess
from importlib.resources import files
from pathlib import Path

from Cython.Build import cythonize
from Cython.Compiler import Errors, ExprNodes, PyrexTypes, Symtab
from grpc_tools import protoc
from setuptools import Extension, setup

ENGINE = Path("bindings/fendan/engine")  # a committed symlink to engine/, see CONTRIBUTING.md
PROTOS = Path("proto")
DEBUG = os.environ.get("FENDAN_DEBUG") == "1"
SANITIZE = os.environ.get("FENDAN_SANITIZE")

# Rounding must not depend on the machine: without -ffp-contract=off a compiler may fuse a*b+c
# where the processor can, and two machines would then disagree on a near tie. The other two flags
# only drop errno and traps, which nothing here reads, so that sqrt and comparisons become one
# instruction. What a debugger wants to know takes a quarter of the time to compile.
OPTIMISED = ["-O3", "-g0", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"]
if platform.machine() == "x86_64":  # as numpy asks for anyway: bits are counted at once
    OPTIMISED += ["-msse4.2", "-mpopcnt"]  # older compilers know no x86-64-v2

# The native door, and the load that besieges it: built where these libraries are.
DOOR = (
    *("ports", "link", "tokens", "scraps", "queue", "turns", "exchange", "house", "session"),
    *("connection", "door", "rehearsal", "roads", "traffic"),
)
DOOR_LIBRARIES = ("libnghttp2", "openssl")
NO_DOOR = "no native door: pkg-config finds no libnghttp2 and openssl (see CONTRIBUTING.md)"

# Processes that are forked know of the gate on performance hints; others would run this file again.
AT_ONCE = os.cpu_count() or 1
FORKS = multiprocessing.get_start_method() == "fork"

DIRECTIVES = {
    "language_level": "3",
    "freethreading_compatible": True,
    "boundscheck": DEBUG,
    "wraparound": False,
    "initializedcheck": False,
    "cdivision": True,
}


def fail_on_performance_hints() -> None:
    """Cython only prints its hints; a hint in the hot path is a defect here, so the build stops."""

    def refuse(position: object, message: str, env: object) -> None:
        Errors.error(position, f"performance hint: {message}")

    for module in (Errors, ExprNodes, PyrexTypes, Symtab):
        assert hasattr(module, "performance_hint"), f"{module.__name__} no longer gives hints"
        module.performance_hint = refuse


def door_flags(kind: str) -> list[str] | None:
    """What the compiler (--cflags) or the linker (--libs) is told; None: there is no door."""
    if os.environ.get("FENDAN_DOOR") == "0":
        return None
    command = [os.environ.get("PKG_CONFIG", "pkg-config"), kind, *DOOR_LIBRARIES]
    try:
        found = subprocess.run(command, capture_output=True, check=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return shlex.split(found.stdout)


def engine_extensions() -> list[Extension]:
    """One extension a .pyx; those of the door only where they can be."""
    sources = sorted(ENGINE.glob("*.pyx"))
    if not sources:  # without this, setuptools quietly builds a wheel with no engine in it
        raise SystemExit(f"no .pyx in {ENGINE}: is the symlink to engine/ missing?")
    compiling, linking = door_flags("--cflags"), door_flags("--libs")
    if compiling is None or linking is None:
        print(NO_DOOR)
        compiling, linking = [], []
        sources = [source for source in sources if source.stem not in DOOR]
    flags = ["-O0", "-g", "-ffp-contract=off"] if DEBUG else OPTIMISED
    # Checks take three times as long to compile where they are optimised, and judge the same.
    sanitizers = [f"-fsanitize={SANITIZE}", "-O0", "-g1"] if SANITIZE else []
    return [
        Extension(
            f"fendan.engine.{source.stem}",
            [str(source)],
            include_dirs=[str(ENGINE)],
            extra_compile_args=[
                *("-Wall", "-Wextra", *flags, *sanitizers),
                *(compiling if source.stem in DOOR else ()),
            ],
            extra_link_args=[*sanitizers, *(linking if source.stem in DOOR else ())],
            depends=[str(header) for header in ENGINE.glob("*.h")],
        )
        for source in sources
    ]


def generate_protos() -> None:
    """Write the modules of proto/fendan/v1 to bindings/fendan/v1, where they have changed."""
    sources = sorted(PROTOS.rglob("*.proto"))
    if not sources:
        raise SystemExit(f"no .proto in {PROTOS}")
    newest = max(source.stat().st_mtime for source in sources)
    made = [
        "bindings" / source.relative_to(PROTOS).with_name(f"{source.stem}_pb2{suffix}")
        for source in sources
        for suffix in (".py", ".pyi", "_grpc.py")
    ]
    if all(module.exists() and module.stat().st_mtime >= newest for module in made):
        return
    included = [f"-I{PROTOS}", f"-I{files('grpc_tools') / '_proto'}"]
    outputs = [f"--{kind}_out=bindings" for kind in ("python", "pyi", "grpc_python")]
    if protoc.main(["protoc", *included, *outputs, *map(str, sources)]) != 0:
        raise SystemExit("protoc failed")


generate_protos()
if not DEBUG:  # checks of bounds are hinted at, too
    fail_on_performance_hints()
setup(
    ext_modules=cythonize(
        engine_extensions(),
        build_dir="build/cython",
        nthreads=AT_ONCE if FORKS else 0,
        cache=os.environ.get("CYTHON_CACHE_DIR") or False,
        compiler_directives=DIRECTIVES,
    ),
    options={"build_ext": {"parallel": AT_ONCE}},
)
