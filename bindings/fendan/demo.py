"""The demo: a generated chain is routed, summed up and drawn.

The output says what is real and what is generated. The same seed makes the same decisions.
"""

from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import pyarrow as pa
from rich.console import Console

from fendan import report
from fendan.api import Engine
from fendan.chain import EXTRA_HINT, Chain, make_chain
from fendan.engine.geo import Datum
from fendan.errors import Fault, refuse
from fendan.model import Policy, Routed, Store

__all__ = ["RADIUS_M", "load", "route", "run"]

RADIUS_M = 10_000.0


def run(
    *,
    stores: int = 6000,
    skus: int = 10000,
    orders: int = 10000,
    seed: int = 1,
    picture: Path | None = Path("demo.png"),
    console: Console,
) -> None:
    """Generate a chain, route its orders, print the summary and draw the picture (unless None).

    Raises InvalidInputError for counts that cannot be, a folder that is not there, and, with a
    hint, where the extra `demo` is not installed; OSError where the picture cannot be written.
    """
    draw = None if picture is None else _drawing(picture)
    with console.status("Generating stores, stock and orders"):
        chain = make_chain(stores=stores, skus=skus, orders=orders, seed=seed)
    _say_what_is_real(chain, console)
    with console.status(f"Loading {len(chain.stock_skus):,} counts of stock"):
        engine = load(chain)
    start = perf_counter()
    routed = route(engine, chain)
    seconds = perf_counter() - start
    table = report.summary(
        routed,
        title=f"{orders:,} generated orders, {stores:,} stores, within {RADIUS_M / 1000:g} km",
        seconds=seconds,
    )
    console.print(table)
    if picture is not None and draw is not None:
        with console.status("Drawing"):
            draw(picture, chain, routed, radius_m=RADIUS_M)
        console.print(f"Picture: {picture}", highlight=False, soft_wrap=True)


def _drawing(path: Path) -> Callable[..., None]:
    """How to draw, once it is known that it can be: before the work, not after."""
    if not path.parent.is_dir():
        refuse(Fault.MISSING, "picture", str(path.parent), hint="no such folder")
    try:
        from fendan.picture import draw
    except ModuleNotFoundError:
        refuse(Fault.MISSING, "package", "matplotlib", hint=EXTRA_HINT)
    return draw


def _say_what_is_real(chain: Chain, console: Console) -> None:
    console.print(
        f"Real: coordinates and populations of {len(chain.towns):,} Chinese towns (GeoNames).\n"
        f"Generated from seed {chain.seed}: {len(chain.store_ids):,} stores, "
        f"{len(chain.skus):,} SKUs, stock of {len(chain.stock_skus):,} (store, SKU) pairs, "
        f"{len(chain.order_lat):,} orders with {len(chain.line_skus):,} lines.",
        highlight=False,
        soft_wrap=True,
    )


def load(chain: Chain, engine: Engine | None = None) -> Engine:
    """An engine, or this empty one, with the chain's stores and stock.

    Its codes are the chain's numbers. One that has the stores, since it was interrupted, gets the
    stock.
    """
    if engine is None:
        engine = Engine(policy=Policy(radius_m=RADIUS_M))
    places = zip(chain.store_lat.tolist(), chain.store_lng.tolist(), strict=True)
    if engine.store_count == 0:
        engine.add_stores(
            Store(id=name, lat=lat, lng=lng, region=region, datum=Datum.WGS84)
            for name, region, (lat, lng) in zip(
                chain.store_ids, chain.store_regions, places, strict=True
            )
        )
    engine.set_stock(
        stores=chain.stock_stores,
        skus=pa.DictionaryArray.from_arrays(chain.stock_skus, pa.array(chain.skus)),
        quantities=chain.stock_quantities,
    )
    return engine


def route(engine: Engine, chain: Chain) -> Routed:
    """Route all the chain's orders in one batch."""
    return engine.route_arrays(
        lat=chain.order_lat,
        lng=chain.order_lng,
        offsets=chain.line_offsets,
        skus=chain.line_skus,
        quantities=chain.line_quantities,
    )
