"""Real order lines with all their dirt, judged in one call, and counted once more with pandas.

541,909 lines of the UCI "Online Retail" set: cancellations with negative quantities, prices of zero
and below, postage and fees in place of goods, the same basket twice. Made up: where they go (a shop
in London), and the list price, which is what a SKU mostly costs.
"""

from pathlib import Path

import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import pytest
from numpy.typing import NDArray

from clock import StoppedClock
from fendan import Engine, Item, OrderType, Store
from fendan.intake.config import Config, config_of
from fendan.intake.judge import Judged, judge
from fendan.intake.knowledge import Knowledge
from fendan.intake.received import NOT_SAID, Received

pytestmark = pytest.mark.real_data

CONFIG = """
[intake]
country = [49, 61, -11, 2]
[intake.rules]
BUYER_LIMIT.threshold = 2
STALE.threshold = 240
"""
TEN_MINUTES, HOUR, TEN_DAYS = (pd.Timedelta(text) for text in ("10min", "1h", "10D"))
NANOSECOND = pd.Timedelta(1)


@pytest.fixture(scope="module")
def lines(shared_data: Path) -> pd.DataFrame:
    """In pence; `order`: numbers of invoices as they appear."""
    table = pd.read_parquet(shared_data / "uci_online_retail_lines.parquet")
    table["order"] = pd.factorize(table["InvoiceNo"])[0]
    table = table.sort_values("order", kind="stable", ignore_index=True)
    table["price"] = (table["UnitPrice"] * 100).round().astype(np.int64)
    table["total"] = table["price"] * table["Quantity"]
    table["buyer"] = table["CustomerID"].astype("string").fillna("")
    table["is_product"] = table["StockCode"].str[0].str.isdigit()
    return table


@pytest.fixture(scope="module")
def list_prices(lines: pd.DataFrame) -> pd.Series:
    sold = lines[lines["is_product"] & (lines["price"] > 0)]
    return sold.groupby("StockCode")["price"].agg(lambda prices: prices.mode()[0])


@pytest.fixture(scope="module")
def found(lines: pd.DataFrame, list_prices: pd.Series) -> Judged:
    engine = Engine(clock=StoppedClock(lines["InvoiceDate"].max().value))
    engine.add_stores([Store(id="london", lat=51.5, lng=-0.12)])
    products = sorted(lines.loc[lines["is_product"], "StockCode"].unique())
    engine.set_stock(("london", product, 1) for product in products)
    items = [Item(sku=sku, list_price=int(price)) for sku, price in list_prices.items()]
    config: Config = config_of(CONFIG)
    return judge(received(lines), Knowledge(engine, config, items).now(), config)


def received(lines: pd.DataFrame) -> Received:
    orders = lines.groupby("order")
    count, first = orders.ngroups, orders.first()
    paid = orders["total"].sum().to_numpy()
    nothing, nobody = np.full(count, NOT_SAID), [""] * count
    return Received(
        order_ids=first["InvoiceNo"].tolist(),
        platforms=nobody,
        channels=nobody,
        order_type=np.full(count, OrderType.NEXT_DAY, dtype=np.int8),
        lat=np.full(count, 51.5),
        lng=np.full(count, -0.12),
        placed_ns=first["InvoiceDate"].astype("datetime64[ns]").astype(np.int64).to_numpy(),
        promised_from_ns=nothing,
        promised_until_ns=nothing,
        presale_ship_ns=nothing,
        pickup_store_ids=nobody,
        group_ids=nobody,
        regions=nobody,
        buyer_ids=first["buyer"].tolist(),
        address_ids=first["Country"].tolist(),
        member_tier=np.zeros(count, dtype=np.int8),
        item_total=paid,
        order_total=paid,
        other_charges=nothing,
        discount=nothing,
        payload=np.arange(count),
        line_start=np.append(0, orders.size().cumsum()).astype(np.int64),
        skus=lines["StockCode"].tolist(),
        barcodes=[""] * len(lines),
        units=[""] * len(lines),
        quantity=lines["Quantity"].to_numpy(dtype=np.int64),
        unit_price=lines["price"].to_numpy(),
        line_total=lines["total"].to_numpy(),
    )


def test_each_rule_finds_as_many_orders_as_pandas_counts(
    lines: pd.DataFrame, list_prices: pd.Series, found: Judged
) -> None:
    counted = {code: orders for (code, _), orders in found.counts().items()}
    expected = of_lines(lines, list_prices) | of_orders(lines)
    assert counted == expected
    assert expected["QUANTITY_NOT_POSITIVE"] > 4_000
    assert expected["UNKNOWN_SKU"] > 2_000
    assert min(expected.values()) > 5


def of_lines(lines: pd.DataFrame, list_prices: pd.Series) -> dict[str, int]:
    listed = lines["StockCode"].map(list_prices)
    dirty = {
        "UNKNOWN_SKU": ~lines["is_product"],
        "QUANTITY_NOT_POSITIVE": lines["Quantity"] <= 0,
        "QUANTITY_LARGE": lines["Quantity"] > 500,
        "AMOUNT_IMPOSSIBLE": (lines["price"] < 0) | (lines["total"] < 0),
        "PRICE_ZERO": lines["price"] == 0,
        "PRICE_OFF_LIST": (lines["price"] - listed).abs() > listed / 2,
    }
    return {code: lines.loc[rows, "order"].nunique() for code, rows in dirty.items()}


def of_orders(lines: pd.DataFrame) -> dict[str, int]:
    by_order = lines.groupby("order")
    orders = by_order.first()
    orders["is_known"] = by_order["is_product"].all()
    pieces = lines.groupby(["order", "StockCode"])["Quantity"].sum()
    pieces = pieces[pieces != 0].reset_index()
    pieces["text"] = pieces["StockCode"] + ":" + pieces["Quantity"].astype(str)
    orders["basket"] = pieces.groupby("order")["text"].agg("|".join)
    orders["basket"] = orders["basket"].fillna("")
    named = orders[orders["buyer"] != ""]
    whose = ["buyer", "Country", "basket"]
    alike = named[named["is_known"] & named.duplicated(whose, keep=False)]
    placed = orders["InvoiceDate"]
    return {
        "TOO_MANY_LINES": int((by_order.size() > 100).sum()),
        "AMOUNT_LARGE": int((by_order["total"].sum() > 500_000).sum()),
        "STALE": int((placed < placed.max() - TEN_DAYS).sum()),
        "BUYER_LIMIT": sum(
            with_others(times.to_numpy(), HOUR - NANOSECOND, 2)
            for _, times in named.groupby("buyer")["InvoiceDate"]
        ),
        "DUPLICATE": sum(
            with_others(times.to_numpy(), TEN_MINUTES, 1)
            for _, times in alike.groupby(whose)["InvoiceDate"]
        ),
    }


def with_others(times: NDArray[np.datetime64], apart: pd.Timedelta, least: int) -> int:
    """Before how many, in the order in which they came, so many came not farther apart."""
    near = (np.abs(times[:at] - time) <= apart.to_timedelta64() for at, time in enumerate(times))
    return sum(int(one.sum()) >= least for one in near)
