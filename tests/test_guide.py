"""The guide's tables are the program's own. `python tests/test_guide.py` writes them anew."""

import re
from pathlib import Path

import fendan
from fendan.errors import TABLE
from fendan.server.access import METHODS
from fendan.server.callers import Scope
from fendan.server.settings import template

GUIDE = Path(__file__).resolve().parents[1] / "GUIDE.md"


def scopes() -> str:
    """Which scope may call which method."""
    names = [scope.value for scope in Scope]
    lines = ["| method | " + " | ".join(names) + " |", "|---|" + ":-:|" * len(names)]
    for method, allowed in METHODS.items():
        marks = ["✓" if scope in allowed else "" for scope in Scope]
        service, name = method.removeprefix("/fendan.v1.").split("/")
        lines.append(f"| `{service}.{name}` | " + " | ".join(marks) + " |")
    return "\n".join(lines)


def errors() -> str:
    """What each fault is raised as, and answered with."""
    lines = ["| code | meaning | Python | gRPC |", "|---|---|---|---|"]
    for fault, entry in TABLE.items():
        exception = f"`{entry.exception.__name__}`"
        lines.append(f"| {fault.name} | {entry.meaning} | {exception} | {entry.grpc_status} |")
    return "\n".join(lines)


def with_tables(text: str) -> str:
    """The guide with its tables as they have to be."""
    for name, table in (("scopes", scopes()), ("errors", errors())):
        begin, end = f"<!-- {name}: tests/test_guide.py -->", f"<!-- end of {name} -->"
        head, rest = text.split(begin)
        text = head + begin + "\n" + table + "\n" + end + rest.split(end)[1]
    return text


def test_the_tables_of_the_guide_are_the_programs_own() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    assert with_tables(text) == text


def test_every_method_the_guide_names_exists() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    named = re.findall(r"`(engine|client)\.(\w+)\(", text)
    assert {whose for whose, _ in named} == {"engine", "client"}
    faces = {"engine": fendan.Engine, "client": fendan.Client}
    assert [name for whose, name in named if not callable(getattr(faces[whose], name))] == []


def test_every_setting_the_guide_names_exists() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    sections = dict(
        re.findall(r"^\[(\w+)\]\n(.*?)(?=^\[|\Z)", template(), re.DOTALL | re.MULTILINE)
    )
    named = [
        (section, key)
        for section, key in re.findall(r"`(\w+)\.(\w+)(?: = [^`]+)?`", text)
        if section in sections
    ]
    assert len(named) > 4
    assert [key for section, key in named if f"{key} = " not in sections[section]] == []


if __name__ == "__main__":
    GUIDE.write_text(with_tables(GUIDE.read_text(encoding="utf-8")), encoding="utf-8")
