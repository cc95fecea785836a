"""`fendan serve` is killed (SIGKILL) again and again amid its work: nothing acknowledged is lost.

Shoppers route orders, take them through their lives and bring stock, until the line is dead. Then
the server is started again in the same folder, and everything that was acknowledged must be there;
whatever was under way is sent again, and all counts must add up to the last piece.
"""

import json
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from built import HAS_DOOR
from fendan import (
    Client,
    Decision,
    Order,
    OrderState,
    OrderStatus,
    UnavailableError,
)
from fendan.client import Retries
from fendan.errors import JournalError

PATIENCE_S = 30.0
# After each start all orders that were ever told are sent again: fewer days would be much longer.
DAYS, KILLS_A_DAY = 4, 50
SMALL_BYTES = 20_000
SHOPPERS = 2

STORES = [f"S{number}" for number in range(6)]
SKUS = ["tea", "milk", "rice", "salt"]
PIECES = 60

# The way of an order that nothing happens to; each step, done twice, is done once.
STEPS: dict[OrderState, Callable[[Client, str], OrderStatus]] = {
    OrderState.ASSIGNED: Client.accept_order,
    OrderState.ACCEPTED: Client.pick_order,
    OrderState.PICKED: Client.ship_order,
    OrderState.SHIPPED: Client.deliver_order,
}
HOLDING = {OrderState.ASSIGNED, OrderState.ACCEPTED, OrderState.PICKED}
GONE = {OrderState.SHIPPED, OrderState.DELIVERED}

# Enough for a few snapshots on the way, some of which will be killed, too.
SETTINGS = "[data]\nsnapshot_bytes = 12_000\n"


# -- THE SERVER --------------------------------------------------------------------------------


class Nursery:
    """Forks servers off a process that has imported everything: see nursery.py."""

    def __init__(self, log: Path) -> None:
        script = Path(__file__).with_name("nursery.py")
        with log.open("w") as errors:
            self._process = subprocess.Popen(
                [sys.executable, str(script)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self._log = log
        self._server = 0

    def start(self, *arguments: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([str(argument) for argument in arguments]) + "\n")
        self._process.stdin.flush()
        self._server = int(self._line())

    def until_ready(self) -> None:
        line = self._line()
        assert line.startswith(f"fendan serves {len(STORES)} stores on "), self.said()

    def kill(self) -> None:
        """As nobody can refuse."""
        os.kill(self._server, signal.SIGKILL)
        assert self.ends_with() == -signal.SIGKILL

    def ends_with(self) -> int:
        line = self._line()
        while not line.startswith("ended with "):
            line = self._line()
        self._server = 0
        return int(line.removeprefix("ended with "))

    def fill_the_disk(self) -> None:
        """The server can write on to the beginning of a file (its log), but no further (EFBIG)."""
        resource.prlimit(self._server, resource.RLIMIT_FSIZE, (SMALL_BYTES, SMALL_BYTES))

    def said(self) -> str:
        return self._log.read_text()

    def close(self) -> None:
        if self._server:
            os.kill(self._server, signal.SIGKILL)
        self._process.kill()
        self._process.communicate(timeout=PATIENCE_S)

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, self.said()
        return line


@dataclass
class Scene:
    """A folder, a socket, and whatever serves them now."""

    nursery: Nursery
    folder: Path

    @property
    def address(self) -> str:
        return f"unix:{self.folder}/socket"

    @property
    def door(self) -> str:
        """The native one, for the hot methods; or, where there is none, the only one."""
        return f"unix:{self.folder}/door" if HAS_DOOR else self.address

    def start(self) -> None:
        files = (f"--{name}={self.folder / name}.csv" for name in ("stores", "stock"))
        self.nursery.start(
            *("--config", self.folder / "server.toml", *files),
            *("--data", self.folder / "journal", "--listen", self.address),
            *("--log-level", "warning"),
            *(("--door", self.door) if HAS_DOOR else ()),
        )

    @contextmanager
    def client(self, address: str | None = None) -> Iterator[Client]:
        """One that gives up at once."""
        with Client(address or self.address, retries=Retries(most=0)) as client:
            yield client


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """Where a small chain is to be served."""
    stores = "".join(f"{name},31.2,121.{4 + n}\n" for n, name in enumerate(STORES))
    stock = "".join(f"{name},{sku},{PIECES}\n" for name in STORES for sku in SKUS)
    (tmp_path / "stores.csv").write_text("store_id,lat,lng\n" + stores)
    (tmp_path / "stock.csv").write_text("store_id,sku,quantity\n" + stock)
    (tmp_path / "server.toml").write_text(SETTINGS)
    nursery = Nursery(tmp_path / "log")
    try:
        yield Scene(nursery, tmp_path)
    finally:
        nursery.close()


# -- THOSE WHO USE IT --------------------------------------------------------------------------


@dataclass
class Shopper:
    """Sends orders, steps and stock, remembers what was acknowledged, and what was cut off."""

    name: str
    chance: random.Random
    by_door: bool = False
    orders: dict[str, Order] = field(default_factory=dict)
    told: dict[str, Decision] = field(default_factory=dict)
    reached: dict[str, OrderStatus | Decision] = field(default_factory=dict)
    brought: Counter[tuple[str, str]] = field(default_factory=Counter)
    at_hand: set[str] = field(default_factory=set)
    under_way: str = ""
    cut_off: Callable[[Client], None] | None = None
    wrong: BaseException | None = None
    answers: int = 0
    _calls: int = 0

    def shop(self, scene: Scene) -> None:
        """Go on until the line is dead."""
        try:
            with scene.client(scene.door if self.by_door else None) as client:
                while True:
                    self.cut_off = self._next()
                    self.cut_off(client)
                    self.cut_off = None
                    self.answers += 1
        except (UnavailableError, JournalError):
            pass
        except BaseException as error:
            self.wrong = error

    def again(self, client: Client) -> None:
        """Send what was cut off once more, as any client would."""
        if self.cut_off is not None:
            self.cut_off(client)
            self.cut_off = None
        self.under_way = ""

    def state(self, order_id: str) -> OrderState:
        reached = self.reached[order_id]
        if isinstance(reached, OrderStatus):
            return reached.state
        return OrderState[reached.status.name]

    def _next(self) -> Callable[[Client], None]:
        """What to do now; it may be done again."""
        self._calls += 1
        self.under_way = ""
        what = self.chance.random()
        if what < 0.4:
            return self._route(1)
        if what < 0.55:
            return self._route(self.chance.randint(2, 15))
        if what < 0.65:
            return self._bring(f"{self.name} brings {self._calls}")
        return self._step()

    def _route(self, count: int) -> Callable[[Client], None]:
        orders = [self._order(f"{self.name}-{self._calls}-{row}") for row in range(count)]

        def route(client: Client) -> None:
            decisions = [client.route(orders[0])] if count == 1 else client.route_batch(orders)
            for order, decision in zip(orders, decisions, strict=True):
                self.orders[order.id] = order
                self.told[order.id] = self.reached[order.id] = decision
                self.at_hand.add(order.id)

        return route

    def _order(self, name: str) -> Order:
        skus = self.chance.sample(SKUS, self.chance.randint(1, 2))
        lines = [(sku, self.chance.randint(1, 3)) for sku in skus]
        return Order(id=name, lat=31.2, lng=121.4 + self.chance.random() / 2, lines=lines)

    def _bring(self, key: str) -> Callable[[Client], None]:
        rows = [(self.chance.choice(STORES), sku, self.chance.randint(1, 15)) for sku in SKUS]

        def bring(client: Client) -> None:
            client.adjust_stock(rows, key=key)
            self.brought.update({(store_id, sku): count for store_id, sku, count in rows})

        return bring

    def _step(self) -> Callable[[Client], None]:
        names = [name for name in self.at_hand if self.state(name) in STEPS]
        if not names:
            return self._route(1)
        self.under_way = name = self.chance.choice(sorted(names))
        reached, what = self.reached[name], self.chance.random()
        step = STEPS[self.state(name)]
        if what < 0.2 and self.state(name) in HOLDING:
            step = Client.cancel_order
        elif what < 0.4 and self.state(name) in HOLDING:
            store_id = reached.store_id
            assert store_id is not None

            def step(client: Client, name: str) -> OrderStatus:
                return client.reject_order(name, store_id)

        def take(client: Client) -> None:
            self.reached[name] = step(client, name)

        return take


def crowd(seed: int) -> list[Shopper]:
    """Every other one comes by the native door."""
    return [Shopper(f"shopper {n}", random.Random(seed + n), n % 2 == 1) for n in range(SHOPPERS)]


def shop(scene: Scene, shoppers: Iterable[Shopper], then: Callable[[], None]) -> None:
    """All at once; `then` is to make an end of it."""
    threads = [threading.Thread(target=one.shop, args=(scene,)) for one in shoppers]
    for thread in threads:
        thread.start()
    then()
    for thread in threads:
        thread.join(PATIENCE_S)
    for error in wrong(shoppers):
        raise error


def wrong(shoppers: Iterable[Shopper]) -> list[BaseException]:
    return [one.wrong for one in shoppers if one.wrong is not None]


def until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.001)


# -- WHAT MUST BE THERE ------------------------------------------------------------------------


def everything_acknowledged_is_there(client: Client, shopper: Shopper) -> None:
    """Every order gets its first answer again; those at hand, and some others, are where they were.

    But for the one that was under way: it is found out later whether it can go on from there.
    """
    names = list(shopper.told)
    again = client.route_batch([shopper.orders[name] for name in names]) if names else []
    assert again == list(shopper.told.values())
    others = shopper.chance.sample(names, min(10, len(names)))
    for name in {*shopper.at_hand, *others} - {shopper.under_way}:
        reached, now = shopper.reached[name], client.order(name)
        if isinstance(reached, OrderStatus):
            assert now == reached
        else:
            assert (now.state.name, now.store_id) == (reached.status.name, reached.store_id)


def counts_add_up(client: Client, shoppers: Iterable[Shopper]) -> None:
    """What came, less what left, is on hand; what is reserved is what orders hold."""
    on_hand = Counter({(store_id, sku): PIECES for store_id in STORES for sku in SKUS})
    reserved: Counter[tuple[str, str]] = Counter()
    for shopper in shoppers:
        on_hand.update(shopper.brought)
        for name, reached in shopper.reached.items():
            for sku, quantity in shopper.orders[name].lines:
                if shopper.state(name) in HOLDING:
                    reserved[reached.store_id or "", sku] += quantity
                elif shopper.state(name) in GONE:
                    on_hand[reached.store_id or "", sku] -= quantity
    for store_id in STORES:
        for level in client.stock(store_id):
            pair = (store_id, level.sku)
            assert (level.on_hand, level.reserved) == (on_hand[pair], reserved[pair]), pair
            assert 0 <= level.reserved <= level.on_hand  # nothing is sold twice


def look_and_go_on(scene: Scene, shoppers: list[Shopper]) -> None:
    """After a start: nothing is missing; then send again what was cut off, and count."""
    with scene.client() as client:
        for shopper in shoppers:
            everything_acknowledged_is_there(client, shopper)
            shopper.again(client)
        counts_add_up(client, shoppers)
    for shopper in shoppers:
        shopper.at_hand = set(
            shopper.chance.sample(sorted(shopper.at_hand), k=min(20, len(shopper.at_hand)))
        )


# -- THE TESTS ---------------------------------------------------------------------------------


@pytest.mark.parametrize("day", range(DAYS))
def test_nothing_acknowledged_is_lost_by_two_hundred_kills_amid_the_load(
    scene: Scene, day: int
) -> None:
    assert DAYS * KILLS_A_DAY == 200
    seed = random.randrange(2**32)
    print(f"seed {seed} of day {day}")
    chance = random.Random(seed)
    shoppers = crowd(seed)

    def kill() -> None:
        enough = chance.randint(0, 60) + sum(one.answers for one in shoppers)
        until(lambda: sum(one.answers for one in shoppers) >= enough or bool(wrong(shoppers)))
        time.sleep(chance.uniform(0.0, 0.005))
        scene.nursery.kill()

    for _ in range(KILLS_A_DAY):
        if chance.random() < 0.1:  # amid the start, too
            scene.start()
            time.sleep(chance.uniform(0.0, 0.1))
            scene.nursery.kill()
        scene.start()
        scene.nursery.until_ready()
        look_and_go_on(scene, shoppers)
        shop(scene, shoppers, kill)
    scene.start()
    scene.nursery.until_ready()
    look_and_go_on(scene, shoppers)
    reached = Counter(one.state(name) for one in shoppers for name in one.told)
    snapshots = len(list((scene.folder / "journal").glob("snapshot-*.snap")))
    print(f"{reached.total():,} orders, {snapshots} snapshots kept")
    assert {*STEPS, OrderState.CANCELLED, OrderState.UNASSIGNED} <= set(reached)


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux takes a disk away")
def test_when_the_disk_fails_the_server_says_so_and_ends_and_nothing_acknowledged_is_lost(
    scene: Scene,
) -> None:
    shoppers = crowd(0)
    scene.start()
    scene.nursery.until_ready()

    def fill_the_disk() -> None:
        with grpc.insecure_channel(scene.address) as channel:
            watching = health_pb2_grpc.HealthStub(channel).Watch(
                health_pb2.HealthCheckRequest(), timeout=PATIENCE_S
            )
            assert next(watching).status == health_pb2.HealthCheckResponse.SERVING
            until(lambda: all(one.told for one in shoppers) or bool(wrong(shoppers)))
            scene.nursery.fill_the_disk()
            assert next(watching).status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert scene.nursery.ends_with() == 1

    shop(scene, shoppers, fill_the_disk)
    assert "the journal has failed" in scene.nursery.said()
    scene.start()
    scene.nursery.until_ready()
    look_and_go_on(scene, shoppers)
    assert all(shopper.told for shopper in shoppers)


def test_the_files_are_read_into_a_new_folder_only(scene: Scene) -> None:
    for start in range(2):
        scene.start()
        scene.nursery.until_ready()
        assert scene.nursery.said().count("stores.csv") == start
        assert scene.nursery.said().count("stock.csv") == start
        with scene.client() as client:
            if start == 0:
                client.adjust_stock([("S0", "tea", 5)])
            assert client.available("S0", "tea") == PIECES + 5
        scene.nursery.kill()
