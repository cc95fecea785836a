"""`fendan explain` says why, from a folder that others may be writing, or from files."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from fendan import Store, cli
from fendan.profiles import StoreProfile
from keeping import a_kept_chain, an_order

POLICY = '[types.NEXT_DAY]\nsteps = [{name = "STORE", radius_m = 3000}]\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder in which S1 was paused when the order A came to its door."""
    with a_kept_chain(tmp_path / "journal") as engine:
        engine.activate_policy(engine.draft_policy(POLICY))
        engine.set_store_profiles({"S3": StoreProfile(cost=700)})
        engine.pause_stores(["S1"])
        engine.route(an_order("A"))
        engine.route(an_order("B", quantity=50))
        engine.resume_stores(["S1"])
        engine.add_stores([Store(id="S0", lat=31.2, lng=121.4)])
    return tmp_path / "journal"


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    words = []
    for name, text in {
        "stores": "store_id,lat,lng\nS1,31.2,121.4\nS2,31.2,121.41\n",
        "stock": "store_id,sku,quantity\nS1,tea,1\nS2,tea,10\n",
        "orders": "order_id,lat,lng,sku,quantity\nother,31,121,tea,1\nA,31.2,121.4,tea,2\n",
    }.items():
        file = tmp_path / f"{name}.csv"
        file.write_text(text, encoding="utf-8")
        words += [f"--{name}", str(file)]
    return words


def run(*words: object) -> Result:
    return CliRunner().invoke(cli.app, ["explain", *map(str, words)], env={"COLUMNS": "160"})


def said(result: Result) -> str:
    """What the command said, without the lines of tables."""
    assert result.exit_code == 0, result.output
    return " ".join(re.sub(r"[│┃]", " | ", result.stdout).split())


def test_a_past_order_is_explained_by_its_folder(folder: Path) -> None:
    text = said(run("A", "--data", folder))
    assert "Order A goes to S2, 951 m away NEXT_DAY under policy 1, at step STORE" in text
    assert "STORE | 3.0 km | 2 | 2 | 2 |" in text
    assert "1. | S2 | 951 m |" in text
    assert "2. | S3 | 1.9 km |" in text
    assert "Nearer, but" in text
    assert "S1 | 0 m | PAUSED | paused: it takes no orders" in text
    assert "S1 would have it with S1 resumed" in text


def test_a_limit_that_cannot_be_is_refused_before_any_journal_is_read(tmp_path: Path) -> None:
    for words in (("--limit", "-1"), ("--attempt", "0")):
        result = run("A", "--data", tmp_path / "nowhere", *words)
        assert result.exit_code == 2
        assert result.output.startswith(f"{words[0].strip('-')}: out of range")


def test_an_order_without_a_store_says_what_the_nearest_lacked(folder: Path) -> None:
    text = said(run("B", "--data", folder, "--limit", "2"))
    assert "Order B has no store: no stock" in text
    assert "The nearest, but" in text
    assert "S2 | 951 m | STOCK | sellable 9 < 50 of tea: on hand 10, reserved 1" in text
    assert "S3" not in text
    assert "S1 would have it with S1 resumed, and 40 more of tea at S1" in text


def test_a_split_order_says_of_each_shipment_why_its_store_does_not_send_all(
    tmp_path: Path,
) -> None:
    with a_kept_chain(tmp_path / "journal") as engine:
        engine.activate_policy(engine.draft_policy(""))
        engine.set_stock([("S1", "tea", 1), ("S2", "tea", 0), ("S3", "tea", 0)])
        engine.set_stock([("S1", "milk", 0), ("S2", "milk", 1), ("S3", "milk", 0)])
        lines = [("tea", 1), ("milk", 1)]
        assert engine.route(replace(an_order("A"), lines=lines)).shipments
    text = said(run("A", "--data", tmp_path / "journal"))
    assert "Order A is split over S1, S2" in text
    assert "1. | S1 | 1 of tea | STOCK | sellable 0 < 1 of milk" in text
    assert "2. | S2 | 1 of milk | STOCK | sellable 0 < 1 of tea" in text


def test_an_order_of_a_file_is_explained_as_the_first_one(files: list[str]) -> None:
    text = said(run("A", *files))
    assert "Order A goes to S2" in text
    assert "the nearest store that has every line, without a policy" in text
    assert "S1 would have it with 1 more of tea at S1" in text


def test_files_may_be_explained_under_a_policy_or_a_radius(
    files: list[str], tmp_path: Path
) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(POLICY, encoding="utf-8")
    assert "NEXT_DAY under policy 1" in said(run("A", *files, "--policy", policy))
    assert "no stock in radius" in said(run("A", *files, "--radius-m", "100"))


@pytest.mark.parametrize("data", [POLICY.encode("utf-16"), b"\0"], ids=["UTF-16", "nothing"])
def test_a_policy_that_cannot_be_read_is_refused(
    files: list[str], tmp_path: Path, data: bytes
) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_bytes(data)
    result = run("A", *files, "--policy", policy)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "it is not" in result.stderr


@pytest.mark.parametrize("words", [["A"], ["A", "--data", ".", "--stores", "stores.csv"]])
def test_either_a_folder_or_files_must_be_named(words: list[str]) -> None:
    result = run(*words)
    assert result.exit_code == 2
    assert "either --data, or --stores, --stock and --orders" in result.stderr


def test_an_order_that_nobody_knows_is_refused(folder: Path, files: list[str]) -> None:
    for words in (["--data", folder], files):
        result = run("nobody", *words)
        assert (result.exit_code, result.stdout) == (2, "")
        assert "nobody" in result.stderr


def test_the_map_is_a_picture_beside_the_words(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    picture = tmp_path / "why.png"
    said(run("A", "--data", folder, "--map", picture))
    assert picture.read_bytes().startswith(b"\x89PNG")
    result = run("A", "--data", folder, "--map", tmp_path / "why.txt")
    assert result.exit_code == 2
    assert not (tmp_path / "why.txt").exists()
