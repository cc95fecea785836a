"""The house keeps its own rules: what is compiled, what depends on what, how long things are."""

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import grpc
import pytest

import fendan
from built import NO_DOOR, is_built
from fendan.errors import TABLE, Fault

ROOT = Path(__file__).resolve().parents[1]
ENGINE = sorted((ROOT / "engine").glob("*.pyx"))
FOLDERS = (
    *("bindings/fendan", "bindings/fendan/intake", "bindings/fendan/load"),
    *("bindings/fendan/server", "bindings/fendan/workloads", "benchmarks"),
)
PYTHON = sorted(path for folder in FOLDERS for path in (ROOT / folder).glob("*.py"))

# Each module may use those before it and no others (DESIGN: one-way dependencies).
ENGINE_ORDER = [
    "fault",
    "checksum",
    "room",
    "split",
    "pieces",
    "frames",
    "geo",
    "place",
    "rings",
    "cells",
    "areas",
    "names",
    "fields",
    "changes",
    "recent",
    "network",
    "loads",
    "lots",
    "larder",
    "shelves",
    "stock",
    "limits",
    "perishables",
    "sheet",
    "shipments",
    "asking",
    "merging",
    "batch",
    "groups",
    "plan",
    "terms",
    "search",
    "guess",
    "router",
    "offers",
    "merges",
    "book",
    "desk",
    "reasons",
    "dispatch",
    "successor",
    "records",
    "events",
    "history",
    "tally",
    "splits",
    "outcome",
    "decided",
    "arrival",
    "orders",
    "snapshot",
    "recovery",
    "effect",
    "steps",
    "rejection",
    "life",
    "retry",
    "audit",
    "replay",
    "request",
    "counts",
    "reply",
    "call",
    "timers",
    "meter",
    "express",
    "wire",
    "ports",
    "link",
    "protocol",
    "tokens",
    "streams",
    "scraps",
    "queue",
    "turns",
    "exchange",
    "house",
    "session",
    "connection",
    "door",
    "rehearsal",
    "roads",
    "traffic",
]
# What others' libraries in C offer: no code of ours.
DECLARATIONS = {"epoll", "nghttp2"}
MOST_LINES = 500
MOST_FUNCTION_LINES = 70


@pytest.mark.parametrize("source", ENGINE, ids=lambda source: source.stem)
def test_the_engine_that_runs_is_the_compiled_one(source: Path) -> None:
    if not is_built(source.stem):
        pytest.skip(NO_DOOR)
    module = importlib.import_module(f"fendan.engine.{source.stem}")
    assert module.__file__ is not None
    assert module.__file__.endswith((".so", ".pyd"))


def test_every_module_of_the_engine_has_its_place_in_the_order() -> None:
    assert sorted(ENGINE_ORDER) == [source.stem for source in ENGINE]


def test_the_architecture_draws_the_engine_in_its_order() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    (drawn,) = re.findall(r"^ numbers .*?^$", text, flags=re.DOTALL | re.MULTILINE)
    rows = [line[len(" orders in ") :] for line in drawn.splitlines()]
    assert " ".join(rows).split() == ENGINE_ORDER


@pytest.mark.parametrize("source", ENGINE, ids=lambda source: source.stem)
def test_every_module_of_the_engine_has_a_header_and_a_stub(source: Path) -> None:
    assert source.with_suffix(".pxd").exists()
    assert source.with_suffix(".pyi").exists()


@pytest.mark.parametrize("name", ENGINE_ORDER)
def test_the_engine_depends_one_way(name: str) -> None:
    text = "".join((ROOT / "engine" / f"{name}{end}").read_text() for end in (".pyx", ".pxd"))
    used = set(re.findall(r"from fendan\.engine\.(\w+) c?import", text)) - {name} - DECLARATIONS
    assert used <= set(ENGINE_ORDER[: ENGINE_ORDER.index(name)])
    assert set(re.findall(r"from fendan\.(\w+) import", text)) <= {"errors", "rules"}


@pytest.mark.parametrize("source", [*ENGINE, *PYTHON], ids=lambda source: source.name)
def test_no_module_is_too_long_to_read(source: Path) -> None:
    assert len(source.read_text().splitlines()) <= MOST_LINES


@pytest.mark.parametrize("source", PYTHON, ids=lambda source: source.name)
def test_no_function_is_too_long_to_see_whole(source: Path) -> None:
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < MOST_FUNCTION_LINES, node.name


@pytest.mark.parametrize("source", ENGINE, ids=lambda source: source.stem)
def test_every_function_of_the_core_states_its_exceptions(source: Path) -> None:
    text = source.with_suffix(".pxd").read_text()
    signature = r"^ *cp?def (?:inline )?(\w[\w *]*?)(\w+)\([^()]*\)(.*)$"
    for returned, name, spec in re.findall(signature, text, flags=re.MULTILINE):
        # An object says by itself whether there was an exception.
        if returned.strip() not in ("bytes", "dict", "list", "object", "set", "str", "tuple"):
            assert spec.startswith((" noexcept nogil", " except ", " except? ")), (
                f"{returned}{name}"
            )


def test_every_fault_has_an_exception_and_a_grpc_status() -> None:
    assert set(TABLE) == set(Fault)
    for entry in TABLE.values():
        assert entry.grpc_status in grpc.StatusCode.__members__
        assert issubclass(entry.exception, fendan.FendanError)


def test_importing_fendan_loads_nothing_that_an_engine_does_not_need() -> None:
    others = {"google", "grpc", "h3", "pandas", "pyarrow", "pydantic", "shapely", "typer"}
    code = f"import sys, fendan; print({others} & set(sys.modules))"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "set()"
