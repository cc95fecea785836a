"""Real order lines, with all their dirt, from a file to stores and into the exception queue.

Real are lines of the UCI "Online Retail" set, two months of it and all rarer dirt: cancellations,
quantities below zero, prices of zero and below, the same basket twice. Made up are the one store,
that it has enough of all that is a product, and where orders go. The counts of every rule come from
pandas, from the table itself.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import pytest

from fendan import Engine, IntakeOutcome, IntakeResult, Store
from fendan.intake.config import Config
from fendan.intake.files import for_file, payloads_in
from fendan.intake.intake import Intake
from fendan.intake.mapping import Field, Mapping
from fendan.intake.plan import IntakePlan

pytestmark = pytest.mark.real_data

UCI = Mapping(
    name="UCI",
    channel="uci",
    format="csv",
    money="yuan",  # pounds and pence count as yuan and fen do
    times="text",
    zone="Europe/London",
    order={
        "order_id": Field.at("InvoiceNo"),
        "placed": Field.at("InvoiceDate"),
        "buyer_id": Field.at("CustomerID"),
        "lat": Field.at("lat"),
        "lng": Field.at("lng"),
    },
    line={
        "sku": Field.at("StockCode"),
        "quantity": Field.at("Quantity"),
        "unit_price": Field.at("UnitPrice"),
    },
)
CHUNK = 5_000
DUPLICATE_MINUTES = 10


class AfterAll:
    """The day after the last order."""

    def now_ns(self) -> int:
        return pd.Timestamp("2011-12-10", tz="UTC").value  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def lines(shared_data: Path) -> pd.DataFrame:
    """The lines of the first two months, and of all orders that are dirty in some rarer way."""
    every = pd.read_parquet(shared_data / "uci_online_retail_lines.parquet")
    is_early = every["InvoiceDate"] < "2011-02-01"
    rare = every.loc[
        (every["Quantity"] > 1_000) | (every["UnitPrice"] < 0) | (every["UnitPrice"] > 1_000),
        "InvoiceNo",
    ]
    return every[is_early | every["InvoiceNo"].isin(rare)].reset_index(drop=True)


@pytest.fixture(scope="module")
def products(lines: pd.DataFrame) -> list[str]:
    """What is no product, such as postage and bank charges, begins with no digit."""
    return sorted(code for code in lines["StockCode"].unique() if code[0].isdigit())


@pytest.fixture(scope="module")
def engine(products: list[str]) -> Iterator[Engine]:
    with Engine(clock=AfterAll()) as engine:
        engine.add_stores([Store(id="S1", lat=31.2, lng=121.4)])
        count = len(products)
        engine.set_stock(stores=["S1"] * count, skus=products, quantities=[10**8] * count)
        yield engine


@pytest.fixture(scope="module")
def told(
    lines: pd.DataFrame, engine: Engine, tmp_path_factory: pytest.TempPathFactory
) -> list[IntakeResult]:
    file = tmp_path_factory.mktemp("uci") / "lines.csv"
    lines.assign(lat=31.2, lng=121.4).to_csv(file, index=False)
    # The orders are of a whole year; and nobody asked the buyers to come back later.
    config = Config().with_rule("STALE", enabled=False).with_rule("BUYER_LIMIT", enabled=False)
    plan = IntakePlan(config=config, mappings={"UCI": for_file(UCI, file)})
    intake = Intake(engine, plan)
    payloads = list(payloads_in(file, UCI))
    results = []
    for first in range(0, len(payloads), CHUNK):
        chunk = payloads[first : first + CHUNK]
        results += [
            replace(result, payload=result.payload + first) for result in intake.take(chunk)
        ]
    return results


def duplicates(lines: pd.DataFrame, products: list[str]) -> set[str]:
    """Orders of a known buyer whose basket the same buyer ordered a few minutes before or after,
    in an order that stands earlier in the file; all of it products."""
    strangers = set(lines.loc[~lines["StockCode"].isin(set(products)), "InvoiceNo"])
    baskets: dict[str, list[tuple[str, int]]] = {}
    pieces_of = lines.groupby(["InvoiceNo", "StockCode"])["Quantity"].sum()
    for (invoice, code), pieces in pieces_of.items():
        baskets.setdefault(invoice, []).extend([(code, pieces)] if pieces else [])
    within = pd.Timedelta(minutes=DUPLICATE_MINUTES)
    found: set[str] = set()
    seen: dict[tuple[object, ...], list[pd.Timestamp]] = {}
    for first in lines.drop_duplicates("InvoiceNo").itertuples():
        if pd.isna(first.CustomerID) or first.InvoiceNo in strangers:
            continue
        earlier = seen.setdefault((first.CustomerID, *baskets[first.InvoiceNo]), [])
        if any(abs(first.InvoiceDate - other) <= within for other in earlier):
            found.add(first.InvoiceNo)
        earlier.append(first.InvoiceDate)
    return found


def by_code(results: list[IntakeResult]) -> dict[str, set[str]]:
    """The orders that each rule says something of."""
    found: dict[str, set[str]] = {}
    for result in results:
        for code in (*result.codes, *result.warnings):
            found.setdefault(code, set()).add(result.order_id)
    return found


def test_every_rule_finds_what_pandas_finds_and_no_other_rule_finds_anything(
    lines: pd.DataFrame, products: list[str], told: list[IntakeResult]
) -> None:
    price = lines["UnitPrice"]
    sizes = lines.groupby("InvoiceNo").size()
    in_pence = np.floor(np.abs(price) * 100 + 0.5 + 1e-9) * np.sign(price)
    rows = {
        "UNKNOWN_SKU": ~lines["StockCode"].isin(set(products)),
        "QUANTITY_NOT_POSITIVE": lines["Quantity"] <= 0,
        "QUANTITY_LARGE": lines["Quantity"] > 500,
        "PRICE_ZERO": in_pence == 0,
        "AMOUNT_IMPOSSIBLE": price < 0,
    }
    expected = {code: set(lines.loc[which, "InvoiceNo"]) for code, which in rows.items()}
    expected["TOO_MANY_LINES"] = set(sizes.index[sizes > 100])
    expected["DUPLICATE"] = duplicates(lines, products)
    found = by_code(told)
    assert {code: len(orders) for code, orders in found.items()} == {
        code: len(orders) for code, orders in expected.items()
    }
    assert found == expected
    assert all(expected.values())


def test_every_order_has_one_result_and_is_assigned_exactly_if_no_rule_stops_it(
    lines: pd.DataFrame, told: list[IntakeResult], engine: Engine
) -> None:
    invoices = list(dict.fromkeys(lines["InvoiceNo"]))
    assert [one.order_id for one in told] == invoices
    outcomes = Counter(one.outcome for one in told)
    assert outcomes[IntakeOutcome.BROKEN] == outcomes[IntakeOutcome.WAITING] == 0
    assert outcomes[IntakeOutcome.ASSIGNED] == engine.order_count
    stopped = {one.exception_id for one in told if one.outcome is not IntakeOutcome.ASSIGNED}
    assert {entry.id for entry in engine.export_exceptions()} == stopped
    assert outcomes[IntakeOutcome.ASSIGNED] + len(stopped) == len(invoices)


def test_what_was_assigned_is_reserved_to_the_piece(
    lines: pd.DataFrame, told: list[IntakeResult], engine: Engine
) -> None:
    assigned = {one.order_id for one in told if one.outcome is IntakeOutcome.ASSIGNED}
    sold = lines[lines["InvoiceNo"].isin(assigned)].groupby("StockCode")["Quantity"].sum()
    assert (sold > 0).all()
    for sku, pieces in sold.items():
        assert engine.stock("S1", [str(sku)])[0].reserved == pieces
