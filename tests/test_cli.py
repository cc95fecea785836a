"""The command line does the whole job or leaves one readable line and no file."""

import csv
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyarrow import csv as arrow_csv
from pyarrow import parquet
from rich.console import Console
from typer.testing import CliRunner, Result

import fendan
from fendan import Datum, Engine, Order, Reason, Routed, Status, cli, loaders, report

STORES = "store_id,lat,lng\nS1,31.20,121.40\nS2,31.30,121.50\n"
STOCK = "store_id,sku,quantity\nS1,A,5\nS2,A,1\nS2,B,3\nS1,C,0\n"
ORDERS = (
    "order_id,lat,lng,sku,quantity\n"
    "O1,31.21,121.41,A,1\n"
    "O2,31.21,121.41,C,1\n"
    "O1,31.21,121.41,B,1\n"
    "O3,31.21,121.41,A,2\n"
)


class Chain:
    """Three input files in a folder, and `fendan route` over them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.out = folder / "decisions.csv"
        for name, text in (("stores", STORES), ("stock", STOCK), ("orders", ORDERS)):
            self.write(name, text)

    def write(self, name: str, text: str, encoding: str = "utf-8") -> None:
        (self.folder / f"{name}.csv").write_text(text, encoding=encoding)

    def arguments(self, **options: object) -> list[str]:
        given = {name: self.folder / f"{name}.csv" for name in ("stores", "stock", "orders")}
        values = given | {"out": self.out} | options
        pairs = [(f"--{name.replace('_', '-')}", str(value)) for name, value in values.items()]
        return ["route", *(word for pair in pairs for word in pair)]

    def route(self, **options: object) -> Result:
        return CliRunner().invoke(cli.app, self.arguments(**options))

    def decisions(self) -> list[list[str]]:
        with self.out.open(encoding="utf-8", newline="") as lines:
            return list(csv.reader(lines))[1:]

    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    return Chain(tmp_path)


def assert_refused(chain: Chain, result: Result, message: str) -> None:
    """One line that says so, no traceback, and no file that was not there."""
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""
    assert chain.files() == ["orders.csv", "stock.csv", "stores.csv"]


# -- ROUTING -----------------------------------------------------------------------------------


def test_every_order_of_the_file_gets_one_decision(chain: Chain) -> None:
    result = chain.route()
    assert result.exit_code == 0
    assert chain.out.read_text().splitlines()[0] == "order_id,status,store_id,distance_m,reason"
    to_s1 = round(fendan.distance_m(31.21, 121.41, 31.20, 121.40), 3)
    to_s2 = round(fendan.distance_m(31.21, 121.41, 31.30, 121.50), 3)
    assert chain.decisions() == [
        ["O1", "ASSIGNED", "S2", str(to_s2), ""],
        ["O2", "UNASSIGNED", "", "", "NO_STOCK"],
        ["O3", "ASSIGNED", "S1", str(to_s1), ""],
    ]
    assert result.stderr == ""
    assert "66.7%" in result.stdout
    assert chain.files() == ["decisions.csv", "orders.csv", "stock.csv", "stores.csv"]


def test_the_command_line_decides_as_the_engine_does(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(7)
    places = random.uniform((31.0, 121.0), (31.5, 121.5), (40, 2)).round(4)
    stores = "".join(f"S{n},{lat},{lng}\n" for n, (lat, lng) in enumerate(places))
    stock = "".join(f"S{n},K{k},{random.integers(4)}\n" for n in range(40) for k in range(9))
    orders = [f"O{n},31.{n % 50:02},121.25,K{random.integers(9)},1\n" for n in range(500)]
    chain.write("stores", "store_id,lat,lng\n" + stores)
    chain.write("stock", "store_id,sku,quantity\n" + stock)
    chain.write("orders", "order_id,lat,lng,sku,quantity\n" + "".join(orders))
    monkeypatch.setattr(cli, "ORDERS_PER_CHUNK", 64)

    engine = Engine(policy=fendan.Policy(radius_m=20_000.0))
    engine.add_stores(loaders.read_stores(chain.folder / "stores.csv"))
    columns = loaders.read_stock(chain.folder / "stock.csv")
    engine.set_stock(stores=columns.stores, skus=columns.skus, quantities=columns.quantities)
    decisions = engine.route_batch(loaders.read_orders(chain.folder / "orders.csv"))

    assert chain.route(radius_m=20_000).exit_code == 0
    assert {status for _, status, *_ in chain.decisions()} == {"ASSIGNED", "UNASSIGNED"}
    assert [(name, store or None) for name, _, store, *_ in chain.decisions()] == [
        (decision.order_id, decision.store_id) for decision in decisions
    ]


def test_decisions_in_parquet_are_those_in_csv(chain: Chain) -> None:
    chain.route()
    chain.route(out=chain.folder / "decisions.parquet")
    table = parquet.read_table(chain.folder / "decisions.parquet")
    strings_can_be_null = arrow_csv.ConvertOptions(strings_can_be_null=True)
    assert table.equals(arrow_csv.read_csv(chain.out, convert_options=strings_can_be_null))
    assert table["store_id"].null_count == 1


def test_a_store_beyond_the_radius_is_not_considered(chain: Chain) -> None:
    assert chain.route(radius_m=2_000).exit_code == 0
    assert [row[1:3] + row[4:] for row in chain.decisions()] == [
        ["UNASSIGNED", "", "NO_STOCK_IN_RADIUS"],
        ["UNASSIGNED", "", "NO_STOCK"],
        ["ASSIGNED", "S1", ""],
    ]


def test_distances_are_measured_on_the_grid_that_is_named(chain: Chain) -> None:
    assert chain.route(datum="gcj-02").exit_code == 0
    engine = Engine(datum=Datum.GCJ02)
    engine.add_stores(loaders.read_stores(chain.folder / "stores.csv", datum=Datum.GCJ02))
    (nearest, *_) = engine.nearest(31.21, 121.41)
    assert chain.decisions()[2][2:4] == ["S1", str(round(nearest.distance_m, 3))]
    assert chain.route(datum="MARS").exit_code == 2


def test_files_in_gbk_are_read_when_it_is_said(chain: Chain) -> None:
    chain.write("stores", STORES.replace("S1", "南京路店"), "gbk")
    chain.write("stock", STOCK.replace("S1", "南京路店"), "gbk")
    assert_refused(chain, chain.route(), "--encoding gbk reads it")
    assert chain.route(encoding="gbk").exit_code == 0
    assert chain.decisions()[2][2] == "南京路店"


def test_a_file_without_orders_brings_no_decisions(chain: Chain) -> None:
    chain.write("orders", "order_id,lat,lng,sku,quantity\n")
    result = chain.route()
    assert result.exit_code == 0
    assert chain.decisions() == []


def test_an_earlier_file_of_decisions_is_replaced(chain: Chain) -> None:
    chain.out.write_text("yesterday's")
    assert chain.route().exit_code == 0
    assert len(chain.decisions()) == 3


def test_a_link_to_the_decisions_stays_a_link(chain: Chain) -> None:
    link = chain.folder / "latest.csv"
    link.symlink_to(chain.out)
    assert chain.route(out=link).exit_code == 0
    assert link.is_symlink()
    assert len(chain.decisions()) == 3


# -- REFUSING ----------------------------------------------------------------------------------


def test_stock_of_an_unknown_store_is_named_by_its_line(chain: Chain) -> None:
    chain.write("stock", STOCK + "\nS9,A,1\n")
    message = "stock.csv, line 7: store_id: unknown store: 'S9'; it is not in stores.csv\n"
    assert_refused(chain, chain.route(), message)


def test_an_order_for_an_unknown_sku_is_named_by_its_line(chain: Chain) -> None:
    late = ORDERS.replace("O1,31.21,121.41,B,1", "O1,31.21,121.41,Z,1")
    chain.write("orders", late)
    message = "orders.csv, line 4: sku: unknown SKU: 'Z'; it is not in stock.csv\n"
    assert_refused(chain, chain.route(), message)


@pytest.mark.parametrize("chunk", [1, 10_000])
def test_lines_that_add_up_to_too_much_are_named_by_the_order_s_first(
    chain: Chain, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(cli, "ORDERS_PER_CHUNK", chunk)
    chain.write("orders", ORDERS + "O4,31.2,121.4,A,2147483647\nO4,31.2,121.4,A,1\n")
    message = "orders.csv, line 6: quantity: too large to count: 2147483648"
    assert_refused(chain, chain.route(), message)


def test_an_order_with_too_many_lines_is_named(chain: Chain) -> None:
    chain.write("orders", ORDERS + "O4,31.2,121.4,A,1\n" * 10_001)
    assert_refused(chain, chain.route(), "orders.csv, line 6: order_id: out of range: 10001")


def test_a_bad_value_is_named_by_its_line(chain: Chain) -> None:
    chain.write("stores", STORES + "S3,north,121.4\n")
    assert_refused(chain, chain.route(), "stores.csv, line 4: lat: wrong type: 'north'")


def test_a_message_is_printed_as_it_is(chain: Chain) -> None:
    chain.write("stock", STOCK + "[red]:smile:,A,1\n")
    assert_refused(chain, chain.route(), "unknown store: '[red]:smile:'")


def test_an_input_that_is_not_there_is_refused(chain: Chain) -> None:
    result = chain.route(stock=chain.folder / "nowhere.csv")
    assert_refused(chain, result, "there is no such file")


def test_a_radius_that_cannot_be_is_refused(chain: Chain) -> None:
    assert_refused(chain, chain.route(radius_m=-1), "policy.radius_m: out of range: -1.0")


def test_decisions_do_not_overwrite_what_they_are_made_from(chain: Chain) -> None:
    result = chain.route(out=chain.folder / "orders.csv")
    assert_refused(chain, result, "it is one of the files to be read")
    assert (chain.folder / "orders.csv").read_text() == ORDERS


@pytest.mark.parametrize("name", ["decisions.txt", "nowhere/decisions.csv", "/dev/null", "."])
def test_decisions_that_could_not_be_written_are_refused_before_anything_is_read(
    chain: Chain, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loaders, "read_stores", lambda *_, **__: pytest.fail("too late"))
    assert_refused(chain, chain.route(out=chain.folder / name), "--out: ")


def test_a_folder_named_as_the_decisions_is_left_alone(chain: Chain) -> None:
    folder = chain.folder / "inside.csv"
    folder.mkdir()
    result = chain.route(out=folder)
    assert (result.exit_code, folder.is_dir()) == (2, True)
    assert "there is something else of that name" in result.stderr


def test_a_disk_that_is_full_leaves_no_half_file(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(columns: dict[str, list[Any]], file: Path, suffix: str) -> None:
        file.write_text("order_id,sta")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cli, "_write", fill)
    assert_refused(chain, chain.route(), "No space left on device")


def test_a_failure_leaves_earlier_decisions_as_they_were(chain: Chain) -> None:
    chain.out.write_text("yesterday's")
    chain.write("stores", STORES + "S1,31.2,121.4\n")
    assert chain.route().exit_code == 2
    assert chain.out.read_text() == "yesterday's"


def test_an_interrupted_run_ends_cleanly(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(loaders, "read_order_columns", interrupted)
    result = chain.route()
    assert (result.exit_code, result.stderr) == (130, "interrupted\n")
    assert chain.files() == ["orders.csv", "stock.csv", "stores.csv"]


# -- THE PROGRAM -------------------------------------------------------------------------------


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fendan.cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONIOENCODING": "utf-8"},
    )


def test_the_program_runs_outside_a_terminal(chain: Chain) -> None:
    done = run(*chain.arguments())
    assert (done.returncode, done.stderr) == (0, "")
    assert "orders per second, routing only" in done.stdout
    assert len(chain.decisions()) == 3
    chain.write("orders", ORDERS + "O4,31.2,121.4,A,none\n")
    refused = run(*chain.arguments())
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith("orders.csv, line 6: quantity: wrong type: 'none'")


def test_the_program_says_its_version() -> None:
    result = CliRunner().invoke(cli.app, ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"fendan {fendan.__version__}\n")


def test_the_program_without_a_command_explains_itself() -> None:
    result = CliRunner().invoke(cli.app, [])
    assert "route" in result.output
    assert "demo" in result.output


def test_the_progress_bar_is_shown_in_a_terminal_on_standard_error(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    result = chain.route()
    assert "Routing 3 orders" in result.stderr
    assert "100%" in result.stderr
    assert "Routing 3 orders" not in result.stdout


# -- THE DEMO ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "changed"),
    [
        ([], {}),
        (["--no-picture"], {"picture": None}),
        (["--picture", "map.png", "--seed", "4"], {"picture": Path("map.png"), "seed": 4}),
        (["--stores", "5", "--skus", "6", "--orders", "7"], {"stores": 5, "skus": 6, "orders": 7}),
    ],
)
def test_the_demo_is_run_as_asked(
    options: list[str], changed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from fendan import demo

    calls: list[dict[str, Any]] = []
    monkeypatch.setattr(demo, "run", lambda **given: calls.append(given))
    assert CliRunner().invoke(cli.app, ["demo", *options]).exit_code == 0
    defaults = {"stores": 6000, "skus": 10000, "orders": 10000, "seed": 1}
    (call,) = calls
    assert isinstance(call.pop("console"), Console)
    assert call == defaults | {"picture": Path("demo.png")} | changed


def test_a_demo_that_cannot_be_is_refused_in_one_line() -> None:
    result = CliRunner().invoke(cli.app, ["demo", "--stores", "0", "--no-picture"])
    assert result.exit_code == 2
    assert "out of range: 0" in result.stderr


# -- THE SUMMARY -------------------------------------------------------------------------------


def _routed(statuses: Sequence[int], reasons: Sequence[int], metres: list[float]) -> Routed:
    return Routed(
        store_codes=np.zeros(len(statuses), dtype=np.int32),
        distances_m=np.array(metres),
        statuses=np.array(statuses, dtype=np.uint8),
        reasons=np.array(reasons, dtype=np.uint8),
    )


def summarised(
    statuses: Sequence[int], reasons: Sequence[int], metres: list[float], seconds: float
) -> dict[str, str]:
    table = report.summary(_routed(statuses, reasons, metres), title="today", seconds=seconds)
    names, values = (list(column.cells) for column in table.columns)
    return {str(name).strip(): str(value) for name, value in zip(names, values, strict=True)}


def test_the_summary_counts_measures_and_gives_reasons() -> None:
    statuses = [Status.ASSIGNED] * 3 + [Status.UNASSIGNED] * 2
    reasons = [Reason.NONE] * 3 + [Reason.NO_STOCK, Reason.NO_STORE_IN_RADIUS]
    metres = [500.0, 700.0, 21_000.0, float("nan"), float("nan")]
    assert summarised(statuses, reasons, metres, 0.002) == {
        "orders": "5",
        "assigned": "3 (60.0%)",
        "unassigned": "2 (40.0%)",
        "no stock": "1 (20.0%)",
        "no store in radius": "1 (20.0%)",
        "distance, median": "700 m",
        "distance, p95": "19.0 km",
        "routing only": "2.0 ms",
        "orders per second, routing only": "2,500",
    }


def test_the_summary_of_nothing_claims_nothing() -> None:
    assert summarised([], [], [], 0.0) == {"orders": "0", "assigned": "0", "unassigned": "0"}


def test_the_summary_of_orders_without_a_store_has_no_distance() -> None:
    rows = summarised([Status.UNASSIGNED], [Reason.NO_STORES], [float("nan")], 1.0)
    assert rows["no stores"] == "1 (100.0%)"
    assert not any(name.startswith("distance") for name in rows)


def test_the_summary_prints(capsys: pytest.CaptureFixture[str]) -> None:
    report.show(report.summary(_routed([], [], []), title="today", seconds=0.0))
    assert "today" in capsys.readouterr().out


def test_the_files_of_an_order_make_the_same_order_in_python(chain: Chain) -> None:
    assert loaders.read_orders(chain.folder / "orders.csv")[0] == Order(
        id="O1", lat=31.21, lng=121.41, lines=[("A", 1), ("B", 1)]
    )
