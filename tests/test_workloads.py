"""A workload by name: written as files, served, and loaded with the same orders anywhere."""

import shlex
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from fendan import Engine, read_orders
from fendan.cli import app
from fendan.errors import InvalidInputError
from fendan.load import orders
from fendan.load.orders import of_workload
from fendan.workloads import files, named
from fendan.workloads.named import NAMED, made, without_stock
from fendan.workloads.workload import joined
from serving import serving

USUAL = ("--seconds", "0.3", "--warm-up", "0.1", "--rate", "50", "--connections", "2")
SMALLER = 100


def command(*words: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(word) for word in words])
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """`fendan load` finds the workloads smaller, and makes fewer orders."""
    shrunk = {name: size.smaller(SMALLER) for name, size in NAMED.items()}
    monkeypatch.setattr(orders, "NAMED", shrunk)
    monkeypatch.setattr(orders, "MOST_ORDERS", 150)


@pytest.mark.parametrize("name", NAMED)
def test_orders_are_the_same_whether_the_stock_is_made_or_not(name: str) -> None:
    size = NAMED[name].smaller(SMALLER)
    workload, alone = without_stock(size, 150)
    whole, batches = made(size)
    for column, of_all in zip(
        vars(alone).values(), vars(joined(batches).head(150)).values(), strict=True
    ):
        np.testing.assert_array_equal(column, of_all)
    assert workload.sku_count == whole.sku_count


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("name", ["metro", "nation", "basket-5", "out-of-range"])
def test_a_load_sends_the_orders_that_the_files_have(name: str, tmp_path: Path) -> None:
    files.write(NAMED[name].smaller(SMALLER), tmp_path)
    told = {
        (order.lat, order.lng, tuple(order.lines))
        for order in read_orders(tmp_path / files.ORDERS)[:150]
    }
    sent = of_workload(name, seed=1)
    assert {(order.lat, order.lng, tuple(order.lines)) for order in sent} == told
    assert of_workload(name, seed=2) != sent


@pytest.mark.usefixtures("small")
def test_the_first_order_sent_wants_the_last_of_the_skus() -> None:
    sent = of_workload("sparse", seed=1)
    assert max(sku for sku, _ in sent[0].lines) == max(
        sku for order in sent for sku, _ in order.lines
    )


@pytest.mark.usefixtures("small")
def test_a_server_of_the_files_fills_what_a_load_by_name_orders(tmp_path: Path) -> None:
    folder = tmp_path / "with a space"
    assert command("workload", "metro", folder, "--smaller", SMALLER)[0] == 0
    engine = Engine()
    engine.load_stores(folder / files.STORES)
    engine.load_stock(folder / files.STOCK)
    with serving(engine) as served:
        status, _, said = command(
            "load", "--target", served.hot_address, "--workload", "metro", *USUAL
        )
    assert (status, said) == (0, "Every message was answered with decisions.\n")


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("name", "hint"), [("metro", "fendan workload metro FOLDER"), ("demo", "fendan serve --demo")]
)
def test_a_server_that_sells_other_goods_is_named_with_how_to_serve_these(
    name: str, hint: str
) -> None:
    with serving() as served:
        status, printed, said = command(
            "load", "--target", served.hot_address, "--workload", name, *USUAL
        )
    assert (status, printed) == (2, "")
    assert "unknown SKU" in said
    assert hint in said


def test_the_command_says_how_to_serve_and_to_load_what_it_wrote(tmp_path: Path) -> None:
    folder = tmp_path / "with a space"
    status, printed, _ = command("workload", "out-of-range", folder, "--smaller", SMALLER)
    serve, load = (shlex.split(line) for line in printed.splitlines())
    assert status == 0
    assert serve[:2] == ["fendan", "serve"]
    assert {str(folder / files.STORES), str(folder / files.STOCK)} < set(serve)
    assert serve[-2:] == ["--radius-m", "10000"]
    assert load == ["fendan", "load", "--orders", str(folder / files.ORDERS)]


def test_a_workload_nobody_knows_is_refused_with_a_near_one(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    status, _, said = command("workload", "metros", folder)
    assert status == 2
    assert "did you mean metro?" in said
    assert not folder.exists()
    with pytest.raises(InvalidInputError, match="did you mean basket-2"):
        named.by_name("basket2")
