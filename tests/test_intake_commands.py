"""`fendan intake` takes a file in, and says what became of each order."""

import csv
import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from fendan import Engine, Store, cli

STORES = "store_id,lat,lng\nS1,31.20,121.40\nS2,31.30,121.50\n"
STOCK = "store_id,sku,quantity\nS1,tea,5\nS2,tea,1\nS2,milk,0\n"
TABLE = (
    "order_id,lat,lng,sku,quantity,unit_price\n"
    "A,31.21,121.41,tea,1,1550\n"
    "B,31.21,121.41,milk,1,1300\n"
    "C,31.21,121.41,tea,1,0\n"
    "D,31.21,121.41,coffee,1,900\n"
    "A,,,tea,1,1550\n"
    "E,31.21,121.41,tea,half,1550\n"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in (("stores", STORES), ("stock", STOCK), ("orders", TABLE)):
        (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
    return tmp_path


def run(*words: object) -> Result:
    return CliRunner().invoke(cli.app, ["intake", *map(str, words)])


def tried(folder: Path, file: str, *words: object) -> Result:
    of_files = ("--stores", folder / "stores.csv", "--stock", folder / "stock.csv")
    return run(folder / file, *of_files, *words)


def test_a_table_says_how_many_orders_went_which_way_and_why(folder: Path) -> None:
    out = folder / "told.csv"
    result = tried(folder, "orders.csv", "--platform", "OWN_SHOP", "--out", out)
    assert result.exit_code == 0
    told = [re.findall(r"[\w.%]+", line) for line in result.stdout.splitlines()]
    assert [words for words in told if words[1:2] == ["1"]] == [
        *(["assigned", "1", "20.0%"], ["waiting", "1", "20.0%"], ["NO_STOCK", "1"]),
        *(["held", "1", "20.0%"], ["PRICE_ZERO", "1"]),
        *(["rejected", "1", "20.0%"], ["UNKNOWN_SKU", "1"]),
        *(["broken", "1", "20.0%"], ["FIELD_TYPE", "1"]),
    ]
    with out.open(encoding="utf-8", newline="") as lines:
        rows = {row["order_id"]: row for row in csv.DictReader(lines)}
    outcomes = ["ASSIGNED", "WAITING", "HELD", "REJECTED", "BROKEN"]
    assert [rows[name]["outcome"] for name in "ABCDE"] == outcomes
    assert (rows["A"]["store_id"], rows["A"]["codes"]) == ("S1", "")
    assert rows["E"]["hint"].startswith("quantity: ")
    assert result.stderr == ""


def test_orders_go_into_the_engine_of_a_folder_and_into_its_queue(folder: Path) -> None:
    journal = folder / "journal"
    with Engine.open(journal) as engine:
        engine.add_stores([Store(id="S1", lat=31.2, lng=121.4)])
        engine.set_stock([("S1", "tea", 5), ("S1", "milk", 0)])
    for _ in range(2):  # again: nothing is done twice
        result = run(folder / "orders.csv", "--platform", "OWN_SHOP", "--data", journal)
        assert result.exit_code == 0, result.stderr
        with Engine.open(journal) as engine:
            assert engine.stock("S1", ["tea"])[0].reserved == 2
            queue = list(engine.export_exceptions())
        kinds = {entry.id.partition("~")[0]: entry.kind.name for entry in queue}
        assert len(queue) == 4
        assert kinds == {"B": "WAITING", "C": "HELD", "D": "REJECTED", "E": "BROKEN"}


def test_lines_of_json_by_a_mapping_of_the_config(folder: Path) -> None:
    config = folder / "intake.toml"
    config.write_text(
        "[mapping.CORNER]\n[mapping.CORNER.order]\norder_id = 'id'\nlat = 'y'\nlng = 'x'\n"
        "[mapping.CORNER.line]\nsku = 's'\nquantity = 'n'\n",
        encoding="utf-8",
    )
    lines = [{"id": n, "y": 31.2, "x": 121.4, "lines": [{"s": "tea", "n": 1}]} for n in range(3)]
    text = "\n".join(map(json.dumps, lines)) + "\n{torn"
    for name in ("orders.jsonl", "orders [new].jsonl"):
        (folder / name).write_text(text, encoding="utf-8")
        result = tried(folder, name, "--platform", "CORNER", "--config", config)
        assert result.exit_code == 0
        assert f"{name}: 4 orders" in result.stdout
    assert "BAD_SYNTAX" in result.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("orders.csv", "--platform", "OWN_SHOP"), "give either --data, or --stores and --stock"),
        (("orders.csv", "--platform", "MEITAUN"), "did you mean MEITUAN?"),
        (("orders.xls", "--platform", "POS"), "the name must end in one of .json"),
        (("none.json", "--platform", "POS"), "No such file"),
        (("orders.csv", "--platform", "POS", "--config", "none.toml"), "none.toml"),
        (("orders.csv", "--platform", "POS", "--out", "told.txt"), "the name must end in .csv"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_no_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(folder)
    of_files = () if "either" in said else ("--stores", "stores.csv", "--stock", "stock.csv")
    result = run(*words, *of_files)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    names = ["orders.csv", "stock.csv", "stores.csv"]
    assert sorted(path.name for path in folder.iterdir()) == names
