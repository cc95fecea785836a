"""`fendan policy` shows what a file means, and keeps its versions in a folder."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from fendan import Engine, cli
from keeping import a_kept_chain

FILE = """
default_type = "SAME_DAY"
[types.INSTANT]
steps = [{ name = "STORE", radius_m = 5000 }, { name = "WIDER", kinds = ["SHOP", "RDC"] }]
promise.speed_kmh = { "07-10" = 9, rest = 18 }
[[override]]
channel = ["meituan"]
score = ["DISTANCE", { by = "LOAD", weight = 500 }]
store_regions = ["north"]
[[override]]
product_class = ["frozen"]
order_type = ["NEXT_DAY"]
split = { least_amount = 2000, split_lines = true, together = ["ice"] }
ranking = [{ by = "DISTANCE_BAND", width_m = 500 }, "LOAD"]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "policy.toml"
    file.write_text(FILE, encoding="utf-8")
    return file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    a_kept_chain(tmp_path / "journal").close()
    return tmp_path / "journal"


def run(*words: object) -> Result:
    return CliRunner().invoke(cli.app, ["policy", *map(str, words)], env={"COLUMNS": "160"})


def said(result: Result) -> str:
    """What a command said, without the lines of tables."""
    assert result.exit_code == 0, result.output
    return " ".join(re.sub(r"[│┃]", " | ", result.stdout).split())


# -- FILES -------------------------------------------------------------------------------------


def test_check_says_what_each_order_type_does(file: Path) -> None:
    text = said(run("check", file))
    assert "INSTANT | STORE to 5.0 km | never | distance | open now, for 15min" in text
    assert "| WIDER (SHOP/RDC) to 50.0 km |" in text
    assert "NEXT_DAY | STORE to 50.0 km | fewest, up to 3 | distance | any | any | 12h" in text
    assert "(default)" in text
    assert "Overrides name channels: meituan; product classes: frozen." in text


def test_show_says_what_one_kind_of_order_comes_under(file: Path) -> None:
    text = said(run("show", file, "--channel", "meituan", "--region", "anywhere"))
    assert "order type | SAME_DAY" in text
    assert "1 x distance + 500 x load" in text
    assert "store regions | north" in text
    text = said(run("show", file, "--type", "INSTANT"))
    assert "1.3 x the distance, km/h: 18 (00-07), 9 (07-10), 18 (10-24)" in text
    text = said(run("show", file, "--type", "NEXT_DAY", "--product-class", "frozen"))
    assert "fewest, up to 3; lines too; each worth 2,000; together: ice" in text
    assert "distance band of 500 m, then load" in text
    assert "km/h: 40 |" in text
    assert "nobody goes" in said(run("show", file, "--type", "PICKUP"))


def test_a_wrong_field_is_named_in_one_line(file: Path) -> None:
    file.write_text("[types.INSTANT]\nsteps = [{ name = 'STORE', radius_m = -1 }]")
    for command in ("check", "show"):
        result = run(command, file)
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.startswith("policy.toml: types.INSTANT.steps[0].radius_m: ")
        assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--type", "INSTNT"], "--type: out of range: 'INSTNT'"),
        (["--channel", "metuan"], "did you mean meituan?"),
        (["--product-class", "frzen"], "did you mean frozen?"),
    ],
)
def test_a_slip_of_the_keyboard_is_told(file: Path, words: list[str], said: str) -> None:
    result = run("show", file, *words)
    assert result.exit_code == 2
    assert said in result.stderr


def test_the_mark_that_some_editors_begin_a_file_with_is_no_part_of_it(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf" + FILE.encode())
    assert run("check", file).exit_code == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"default_type = {'9' * 5000}", "more digits than can be read"),
        (f"{'.'.join('a' * 500_000)} = 1", "it is nested too deeply"),
        ('"\\u001b[31mred" = 1', r"\x1b[31mred: cannot be read: 1; there is no such key"),
    ],
    ids=["endless number", "endless nesting", "colours of a terminal"],
)
def test_what_cannot_be_shown_as_it_is_ends_in_one_line_all_the_same(
    file: Path, text: str, said: str
) -> None:
    file.write_text(text, encoding="utf-8")
    result = run("check", file)
    assert (result.exit_code, len(result.output.splitlines())) == (2, 1)
    assert said in result.output


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    result = run("check", tmp_path / "none.toml")
    assert result.exit_code == 2
    assert "none.toml" in result.stderr


# -- VERSIONS ----------------------------------------------------------------------------------


def test_a_version_is_drafted_put_into_force_and_listed(file: Path, folder: Path) -> None:
    assert said(run("draft", file, "--data", folder)) == "policy.toml is version 1"
    assert said(run("draft", file, "--data", folder)) == "policy.toml is version 1"
    file.write_text("")
    assert said(run("draft", file, "--data", folder)) == "policy.toml is version 2"
    assert said(run("activate", 1, "--data", folder)) == "version 1 is in force"
    text = said(run("list", "--data", folder))
    assert "| 1 | ACTIVE | 20" in text
    assert "| 2 | DRAFT | 20" in text
    with Engine.open(folder) as engine:
        assert engine.active_version == 1
        assert engine.policy_text(1) == FILE
        assert "| 1 | ACTIVE |" in said(run("list", "--data", folder))  # beside its owner
        busy = run("activate", 2, "--data", folder)
        assert busy.exit_code == 2
        assert "held by process" in busy.stderr
    assert said(run("activate", 0, "--data", folder)) == "no policy is in force"
    assert "| 1 | RETIRED |" in said(run("list", "--data", folder))


def test_what_is_refused_is_not_kept(file: Path, folder: Path) -> None:
    file.write_text("hours = 3")
    assert run("draft", file, "--data", folder).exit_code == 2
    unknown = run("activate", 3, "--data", folder)
    assert unknown.exit_code == 2
    assert "unknown policy version: 3" in unknown.stderr
    with Engine.open(folder) as engine:
        assert engine.policy_versions() == []


def test_a_folder_without_a_journal_is_not_made_into_one(file: Path, tmp_path: Path) -> None:
    for command in (["draft", file], ["activate", 1], ["list"]):
        assert run(*command, "--data", tmp_path / "nowhere").exit_code == 2
    assert not (tmp_path / "nowhere").exists()
