"""Which orders are sent: those of a file, of a workload by name, or such as the server could fill.

None of them invents a store: places and SKUs are those that the server has, or is said to have.
"""

import random
from pathlib import Path

import numpy as np

from fendan.chain import make_chain
from fendan.client import Client
from fendan.engine.geo import Datum
from fendan.errors import Fault, refuse
from fendan.loaders import read_orders
from fendan.model import Order
from fendan.toml_file import did_you_mean
from fendan.workloads.named import NAMED, without_stock
from fendan.workloads.workload import order_objects, sku_names

__all__ = ["MOST_ORDERS", "WORKLOADS", "how_to_serve", "of_file", "of_server", "of_workload"]

# Different orders that are made; then they come again with other ids. What an order looks like is
# kept as bytes, so that more would only take longer to make.
MOST_ORDERS = 20_000

# A pool of messages gives them others.
ANY_ID = "load"

DEMO = "demo"
# As `fendan serve --demo` has them, unless told otherwise.
DEMO_SKUS = 10_000
WORKLOADS = (DEMO, *NAMED)

# How many of the server's stores are asked what they sell.
STORES_ASKED = 100
# How far from one of them an order is placed, typically.
AROUND_DEGREES = 0.02
MOST_LINES = 3


def of_file(path: Path, *, encoding: str, datum: Datum | None) -> list[Order]:
    """The first orders of a file, as `fendan route` reads it. Raises FileFormatError and others."""
    return read_orders(path, encoding=encoding, datum=datum)[:MOST_ORDERS]


def of_workload(name: str, seed: int) -> list[Order]:
    """Orders of a named workload. Raises InvalidInputError naming a near one."""
    if name == DEMO:
        return _demo(seed)
    if name not in NAMED:
        hint = f"must be one of {', '.join(WORKLOADS)}{did_you_mean(name, WORKLOADS)}"
        refuse(Fault.OUT_OF_RANGE, "--workload", name, hint=hint)
    workload, made = without_stock(NAMED[name], MOST_ORDERS, seed)
    orders = order_objects(made, sku_names(workload), ANY_ID)
    # The first is sent by itself, to begin with: a server that knows the last SKU knows them all.
    first = int(np.argmax(made.skus)) // made.lines
    return orders[first:] + orders[:first]


def how_to_serve(name: str) -> str:
    """What makes a server that can fill the orders of a workload, in a few words."""
    if name == DEMO:
        return "fendan serve --demo has what these orders want"
    return f"fendan workload {name} FOLDER writes the stores and stock to serve"


def of_server(client: Client, seed: int) -> list[Order]:
    """Orders of one to three pieces that some store near them sells, all of them.

    Asks for the list of stores and the stock of some, so the address must be that of the port that
    has every method. Raises InvalidInputError where nothing is for sale, and ServiceErrors.
    """
    chance = random.Random(seed)
    stores = [status.store for status in client.stores() if not status.paused]
    some = chance.sample(stores, min(STORES_ASKED, len(stores)))
    sold = {
        store: [level.sku for level in client.stock(store.id) if level.sellable] for store in some
    }
    selling = [store for store in some if sold[store]]
    if not selling:
        refuse(Fault.MISSING, "stock", hint="none of the stores asked has anything to sell")
    orders = []
    for _ in range(MOST_ORDERS):
        store = chance.choice(selling)
        basket = chance.sample(sold[store], min(chance.randint(1, MOST_LINES), len(sold[store])))
        lat, lng = (chance.gauss(degrees, AROUND_DEGREES) for degrees in (store.lat, store.lng))
        orders.append(
            Order(
                id=ANY_ID,
                lat=min(max(lat, -90.0), 90.0),
                lng=min(max(lng, -180.0), 180.0),
                lines=[(sku, 1) for sku in basket],
            )
        )
    return orders


# -- WORKLOADS -----------------------------------------------------------------------------------


def _demo(seed: int) -> list[Order]:
    """Orders at the chain of `fendan serve --demo`, by the towns' people and the SKUs' popularity.

    They need its SKUs, whose names are numbers, and none of its stores.
    """
    chain = make_chain(stores=1, skus=DEMO_SKUS, orders=MOST_ORDERS, seed=seed)
    skus = np.array(chain.skus, dtype=object)[chain.line_skus].tolist()
    lines = list(zip(skus, chain.line_quantities.tolist(), strict=True))
    ends = chain.line_offsets.tolist()
    places = zip(chain.order_lat.tolist(), chain.order_lng.tolist(), strict=True)
    return [
        Order(id=ANY_ID, lat=lat, lng=lng, lines=lines[ends[at] : ends[at + 1]], datum=Datum.WGS84)
        for at, (lat, lng) in enumerate(places)
    ]
