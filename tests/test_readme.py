"""The READMEs cannot lie: their example runs, their numbers are the benchmark's."""

import importlib
import importlib.util
import io
import json
import random
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from typer.testing import CliRunner

import fendan
from fendan import demo
from fendan.chain import make_chain
from fendan.cli import app
from serving import serving

ROOT = Path(__file__).resolve().parents[1]
BENCHMARKS = ROOT / "benchmarks"
NODE_MODULES = ROOT / "tests" / "node" / "node_modules"
READMES = ("README.md", "README.zh-CN.md")
SHELL = re.compile(r"```sh\n(.*?)```", re.DOTALL)


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def readme_tables() -> ModuleType:
    """benchmarks/readme.py, which is a script and not a package."""
    path = BENCHMARKS / "readme.py"
    spec = importlib.util.spec_from_file_location("benchmarks_readme", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Where a small demo chain is served, as `make serve` serves a large one."""
    engine = demo.load(make_chain(stores=600, skus=50, orders=1, seed=1))
    with serving(engine) as served:
        yield served.address


@pytest.mark.parametrize("name", READMES)
def test_the_examples_do_what_they_say(name: str, address: str) -> None:
    examples = re.findall(r"```python\n(.*?)```", read(name), flags=re.DOTALL)
    assert len(examples) == 3
    reader: dict[str, Any] = {}  # who types one after the other
    for example in examples:
        (promised,) = re.findall(r"print\(.*#\s*(.+)", example)
        ours = example.replace("127.0.0.1:50051", address).replace('"O3"', f'"{name}"')
        said = io.StringIO()
        with redirect_stdout(said):
            exec(compile(ours, name, "exec"), reader)
        assert said.getvalue().strip() == promised.strip()


@pytest.mark.skipif(not NODE_MODULES.is_dir(), reason="`make test` installs Node's client with npm")
@pytest.mark.parametrize("name", READMES)
def test_the_example_in_another_language_does_what_it_says(name: str, address: str) -> None:
    (example,) = re.findall(r"```js\n(.*?)```", read(name), flags=re.DOTALL)
    script = NODE_MODULES / f"{name}.mjs"  # from here Node finds its modules
    example = example.replace("127.0.0.1:50051", address).replace('"O4"', f'"{name} node"')
    script.write_text(example, encoding="utf-8")
    run = subprocess.run(
        ["node", str(script)], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert run.stdout.strip() == "DECISION_STATUS_ASSIGNED"


def a_free_port() -> int:
    """One that nobody gets by chance while the server is down: below the ephemeral ones."""
    for port in random.sample(range(20_000, 30_000), 100):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("a hundred ports are taken")


def test_nothing_is_missing_after_the_kill_that_they_show(tmp_path: Path) -> None:
    blocks = [block for name in READMES for block in SHELL.findall(read(name)) if "kill" in block]
    commands, in_chinese = blocks
    assert in_chinese == commands
    commands = commands.replace("127.0.0.1:50051", f"127.0.0.1:{a_free_port()}")
    activate = tmp_path / ".venv" / "bin" / "activate"
    activate.parent.mkdir(parents=True)
    paths = f"PYTHONPATH={ROOT / 'bindings'} PATH={activate.parent}:$PATH"
    activate.write_text(f"export {paths}\n")
    for command, start in (("fendan", "-m fendan.cli"), ("python", "")):
        script = activate.with_name(command)
        script.write_text(f'#!/bin/sh\nexec {sys.executable} {start} "$@"\n')
        script.chmod(0o755)
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    run = subprocess.run(
        ["bash", "-c", commands],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    cut_off, checked = re.findall(r"^.* answers.*$", run.stdout, flags=re.MULTILINE)
    answers = re.fullmatch(r"after ([\d,]+) answers: \w+", cut_off)
    assert answers is not None
    assert answers[1] != "0"
    assert checked == f"{answers[1]} answers, 0 missing"


@pytest.mark.parametrize("language", ["ENGLISH", "CHINESE", "PAGE"])
def test_the_numbers_are_the_ones_the_benchmarks_wrote(language: str) -> None:
    tables = readme_tables()
    written = getattr(tables, language)
    text = read(written.readme)
    sources = [words.source for words in written.tables]
    readme = [tables.ENGINE, tables.SERVICE, tables.JOURNAL]
    assert sources == ([tables.DOOR] if language == "PAGE" else readme)
    for words in written.tables:
        assert tables.with_numbers(text, words) == text


def test_the_other_tables_of_the_benchmarks_page_are_what_was_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    page = importlib.import_module("page")
    text = read("benchmarks/README.md")
    assert page.with_tables(text) == text


# Those that were measured in more sizes than one say so in other words.
OF_MANY_SIZES = {
    "arrivals.json": lambda report: report["sizes"]["smaller"] == 1,
    "curves.json": lambda report: not report["smoke"],
    "waiting.json": lambda report: report["sizes"]["waiting"] == 100_000,
    "misses.json": lambda report: report["smaller"] == 1,
    "workloads.json": lambda report: report["smaller"] == 1,
    "instructions.json": lambda report: report["orders"] > 0,
}
REPORTS = sorted(path.name for path in BENCHMARKS.glob("*.json"))


@pytest.mark.parametrize("report", REPORTS)
def test_the_numbers_were_measured_in_full_size(report: str) -> None:
    found = json.loads(read(f"benchmarks/{report}"))
    if report in OF_MANY_SIZES:
        assert OF_MANY_SIZES[report](found)
        return
    sizes = found["sizes"]
    # Of the doors, as many calls at once; each caller then sends order after order.
    at_once = max(sizes["callers"]) if report == "door.json" else sizes["orders"]
    assert (sizes["stores"], sizes["skus"], at_once) == (6_000, 10_000, 10_000)


def test_every_order_of_the_service_numbers_was_answered_and_assigned() -> None:
    for tally in json.loads(read("benchmarks/service.json"))["tallies"]:
        assert tally["orders"] == tally["answered"] == tally["assigned"] > 0


@pytest.mark.parametrize("name", READMES)
def test_every_folder_and_page_it_names_is_there(name: str) -> None:
    text = read(name)
    named = re.findall(r"^\| `([\w/]+/)` \|", text, flags=re.MULTILINE)
    assert len(named) == 5
    named += re.findall(r"\]\(([\w.-]+)\)", text)
    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("name", ["GUIDE.md", *READMES])
def test_every_method_it_names_exists(name: str) -> None:
    text = read(name)
    for method in re.findall(r"`engine\.(\w+)\(", text):
        assert callable(getattr(fendan.Engine, method)), method
    for function in re.findall(r"`fendan\.(\w+)\(", text):
        assert callable(getattr(fendan, function)), function


def test_every_option_of_the_command_line_the_guide_names_exists() -> None:
    (command,) = re.findall(r"`fendan (route --[^`]+)`", read("GUIDE.md"))
    told = CliRunner().invoke(app, ["route", "--help"], env={"COLUMNS": "200"}).output
    for option in re.findall(r"--[\w-]+", command):
        assert option in told


@pytest.mark.parametrize("language", ["ENGLISH", "CHINESE"])
def test_the_readme_is_short_with_every_table(language: str) -> None:
    tables = readme_tables()
    written = getattr(tables, language)
    text = read(written.readme)
    to_come = [w for w in written.tables if not (BENCHMARKS / w.source.report).exists()]
    rows = sum(len(words.names) + 2 for words in to_come)  # and the heading's two lines
    more = [name for words in written.tables for name, _ in words.more.values()]
    rows += sum(not (BENCHMARKS / name).exists() for name in more)
    assert len(text.splitlines()) + rows <= 135
