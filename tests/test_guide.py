"""The guide's tables are the program's own. `python tests/test_guide.py` writes them anew."""

import io
import re
from contextlib import redirect_stdout
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import fendan
from fendan import model, policy_file, profiles
from fendan.errors import TABLE
from fendan.exclusions import Exclusion
from fendan.intake.payload import Breakage
from fendan.intake.rules import RULES
from fendan.policy_file import policy_of
from fendan.policy_look import type_table
from fendan.server.access import METHODS
from fendan.server.callers import Scope
from fendan.server.settings import template

GUIDE = Path(__file__).resolve().parents[1] / "GUIDE.md"
IN_CHINESE = {
    "INSTANT": "即时达",
    "SAME_DAY": "当日达",
    "NEXT_DAY": "次日达",
    "PICKUP": "到店自提",
    "PRESALE": "预售",
    "GROUP": "团购",
}


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


def types() -> str:
    """What each order type does where a policy file says nothing of it."""
    columns = type_table(policy_of(""), "").columns
    lines = [
        "| " + " | ".join(str(column.header) for column in columns) + " |",
        "|---" * len(columns) + "|",
    ]
    for cells in zip(*(column.cells for column in columns), strict=True):
        name, *rest = (str(cell).replace("\n", ", ") for cell in cells)
        kind = name.removesuffix(", (default)")
        lines.append(f"| {' | '.join([f'{kind} {IN_CHINESE[kind]}', *rest])} |")
    return "\n".join(lines)


def breakages() -> str:
    """Why what a platform sent could not be read."""
    lines = ["| code | a payload, or one order of it, is |", "|---|---|"]
    return "\n".join([*lines, *(f"| {one.name} | {one.value} |" for one in Breakage)])


def intake_rules() -> str:
    """What each intake rule finds, and what it does unless a file says otherwise."""
    lines = ["| rule | unless said | threshold | finds | 说明 |", "|---|---|---|---|---|"]
    for rule in RULES:
        limits, mark = rule.threshold, " †" if rule.must_stop else ""
        threshold = ""
        if limits is not None:
            threshold = f"{limits.value:,g} {limits.unit} ({limits.least:,g} to {limits.most:,g})"
        cells = (f"{rule.code}{mark}", rule.severity.name, threshold, rule.english, rule.chinese)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def with_tables(text: str) -> str:
    """The guide with its tables as they have to be."""
    tables = {
        "types": types,
        "breakages": breakages,
        "intake": intake_rules,
        "scopes": scopes,
        "errors": errors,
    }
    for name, table in ((name, of()) for name, of in tables.items()):
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


def test_the_examples_do_what_they_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = GUIDE.read_text(encoding="utf-8")
    (policy,) = re.findall(r"```toml\n(default_type.*?)```", text, re.DOTALL)
    (tmp_path / "policy.toml").write_text(policy, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    reader: dict[str, Any] = {}  # who types one after the other
    for example in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        promised = re.findall(r"print\(.*?#\s*(.+)", example)
        said = io.StringIO()
        with redirect_stdout(said):
            exec(compile(example, GUIDE.name, "exec"), reader)
        assert said.getvalue().splitlines() == promised != []


def test_what_an_engine_takes_and_gives_stands_in_the_package_itself() -> None:
    public = {*model.__all__, *profiles.__all__, "OrderType", "StoreKind", "StepName"}
    assert public - set(fendan.__all__) == set()
    deeper = re.findall(r"^(?:from|import) fendan\.\w+.*", GUIDE.read_text(encoding="utf-8"), re.M)
    assert deeper == []


KEYS = {
    "policies": (
        "default_type",
        "types",
        "override",
        *policy_file.CONDITIONS,
        *policy_file.CHANGES,
        *policy_file.STEP,
        *policy_file.SPLIT,
        *policy_file.CRITERION,
        *policy_file.PROMISE,
    ),
    "stores": [field.name for field in fields(fendan.StoreProfile)],
    "SKUs": [field.name for field in fields(fendan.SkuProfile)],
    "reasons": [reason.name for reason in fendan.Reason if reason],
    "exclusions": [code.name for code in Exclusion],
}
HEADS = {
    "policies": "key",
    "stores": "store",
    "SKUs": "SKU",
    "reasons": "reason",
    "exclusions": "code | the first",
}


@pytest.mark.parametrize("what", KEYS)
def test_a_table_has_all_that_there_is_and_nothing_else(what: str) -> None:
    text = GUIDE.read_text(encoding="utf-8")
    (table,) = re.findall(rf"^\| {re.escape(HEADS[what])} .*\n\|---.*\n((?:\|.*\n)+)", text, re.M)
    named = [name for row in table.splitlines() for name in re.findall(r"\w+", row.split("|")[1])]
    assert sorted(named) == sorted(set(KEYS[what]))


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
