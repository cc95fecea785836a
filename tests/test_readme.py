"""The READMEs cannot lie: their example runs, their numbers are the benchmark's."""

import importlib.util
import io
import json
import re
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType

import pytest
from typer.testing import CliRunner

import fendan
from fendan.cli import app

ROOT = Path(__file__).resolve().parents[1]
READMES = ("README.md", "README.zh-CN.md")


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def readme_tables() -> ModuleType:
    """benchmarks/readme.py, which is a script and not a package."""
    path = ROOT / "benchmarks" / "readme.py"
    spec = importlib.util.spec_from_file_location("benchmarks_readme", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", READMES)
def test_the_example_does_what_it_says(name: str) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", read(name), flags=re.DOTALL)
    (promised,) = re.findall(r"print\(.*#\s*(.+)", example)
    said = io.StringIO()
    with redirect_stdout(said):
        exec(compile(example, name, "exec"), {})
    assert said.getvalue().strip() == promised.strip()


@pytest.mark.parametrize("language", ["ENGLISH", "CHINESE"])
def test_the_numbers_are_the_ones_the_benchmark_wrote(language: str) -> None:
    tables = readme_tables()
    words = getattr(tables, language)
    report = json.loads(read("benchmarks/metro.json"))
    text = read(words.readme)
    assert tables.with_numbers(text, tables.table(report, words)) == text


def test_the_numbers_were_measured_in_full_size() -> None:
    sizes = json.loads(read("benchmarks/metro.json"))["sizes"]
    assert (sizes["stores"], sizes["skus"], sizes["orders"]) == (6_000, 10_000, 10_000)


@pytest.mark.parametrize("name", READMES)
def test_every_folder_and_page_it_names_is_there(name: str) -> None:
    text = read(name)
    named = re.findall(r"^\| `([\w/]+/)` \|", text, flags=re.MULTILINE)
    assert len(named) == 5
    named += re.findall(r"\]\(([\w.-]+)\)", text)
    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("name", READMES)
def test_every_method_it_names_exists(name: str) -> None:
    text = read(name)
    for method in re.findall(r"`engine\.(\w+)\(", text):
        assert callable(getattr(fendan.Engine, method)), method
    for function in re.findall(r"`fendan\.(\w+)\(", text):
        assert callable(getattr(fendan, function)), function


@pytest.mark.parametrize("name", READMES)
def test_every_option_of_the_command_line_it_names_exists(name: str) -> None:
    (command,) = re.findall(r"`fendan (route --[^`]+)`", read(name))
    told = CliRunner().invoke(app, ["route", "--help"], env={"COLUMNS": "200"}).output
    for option in re.findall(r"--[\w-]+", command):
        assert option in told


def test_the_readme_is_short() -> None:
    assert len(read("README.md").splitlines()) <= 120
