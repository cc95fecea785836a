"""What is measured over gRPC: a trial each for the ways in which orders come, and the memory.

A trial yields its rows. Before what counts comes some of the same that does not. Orders are given
back when a trial has no clock running, so that each begins with all of the stock.
"""

import asyncio
import gc
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from statistics import fmean, median
from typing import Any

import grpc
import numpy as np

import fendan
import fendan.aio
from fendan.v1.inventory_service_pb2 import (
    STOCK_OUTCOME_STATUS_APPLIED,
    SetStockRequest,
    SetStockResponse,
    StockCount,
)
from fendan.workloads.workload import metro
from load import (
    OPTIONS,
    TIMEOUT_S,
    Answer,
    Due,
    Latencies,
    Orders,
    Tally,
    clock,
    closed_loop,
    one_by_one,
    open_loop,
)
from rows import Row
from served import Served

SEED = 1
BATCH, BURSTS, EVENLY = "BatchRoute", "StreamRoute, all at once", "StreamRoute, evenly"
UNARY, AIO, MEMORY = "Route", "aio.Client", "memory"
STOCK, MEANWHILE = "SetStock", "Route while stock comes in"

BATCH_P50_MS, BATCH_P99_MS = 15, 20
STREAM_P99_MS = 50
AIO_P99_MS = 250
# None. Allocators grow by a MiB at a time, and two of these in a million orders are not told from
# none; one order that is never forgotten takes a hundred bytes.
GROWTH_BYTES = 2

PAUSE_S = 0.05  # between two stock updates
MOST_RELEASED = 100_000  # in one call, as the service says
MIB = 1024 * 1024


@dataclass(frozen=True)
class Sizes:
    """How large everything is, and how often it is done. The target sizes are the defaults."""

    stores: int = 6000
    skus: int = 10_000
    skus_per_store: int = 2500
    orders: int = 10_000  # in a batch, in flight over the streams, and called for at once
    warm: int = 3  # rounds of each kind before those that count
    batches: int = 250
    streams: int = 8
    messages: int = 32  # that the orders in flight come in
    rates_per_s: tuple[int, ...] = (50_000, 100_000, 200_000, 300_000, 400_000)  # orders
    instants: int = 60  # at which so many orders are offered, for each rate
    callers: tuple[int, ...] = (1, 64, 1000)
    calls: tuple[int, ...] = (3000, 15_000, 15_000)
    rounds: int = 20
    snapshots: int = 40  # of whole stores, in one message
    updates: int = 100  # such messages
    remembered_orders: int = 1_000_000
    remembered_for_memory: int = 100_000
    memory_orders: int = 2_000_000
    filling_orders: int = 300_000  # until the server knows as many orders as it may, and more
    settled_orders: int = 1_000_000  # until the allocator has what every thread needs at most
    sampled_orders: int = 50_000  # between two looks at the memory


FULL = Sizes()
SMOKE = Sizes(
    stores=60,
    skus=50,
    skus_per_store=50,  # all of them: no basket that no store has
    orders=80,
    warm=1,
    batches=4,
    messages=16,
    rates_per_s=(1000, 2000),
    instants=4,
    callers=(1, 8, 20),
    calls=(20, 40, 40),
    rounds=2,
    snapshots=3,
    updates=3,
    remembered_for_memory=100,
    memory_orders=1600,
    filling_orders=240,
    settled_orders=800,
    sampled_orders=80,
)


class Bench:
    """A server, new orders for it, and who gives the goods back."""

    def __init__(self, served: Served, sizes: Sizes) -> None:
        self.served = served
        self.sizes = sizes
        # What orders there are does not depend on what the stores have.
        self.orders = Orders(metro(sizes.stores, sizes.skus, 1, orders=1, seed=SEED))
        self.client = fendan.Client(served.address, timeout_s=TIMEOUT_S)
        self.tallies: list[Tally] = []

    def tally(self, name: str) -> Tally:
        """Where the orders of a trial are counted."""
        self.tallies.append(Tally(name))
        return self.tallies[-1]

    def settle(self, answers: Sequence[Answer], tally: Tally) -> None:
        """Count what the answers say, and give the goods back."""
        for answer in answers:
            tally.count(answer.to, answer.data)
        self.give_back(chain.from_iterable(answer.to.order_ids for answer in answers))

    def give_back(self, order_ids: Iterable[str]) -> None:
        """Release orders."""
        waiting = list(order_ids)
        for start in range(0, len(waiting), MOST_RELEASED):
            self.client.release_batch(waiting[start : start + MOST_RELEASED])


def _quiet() -> None:
    """Let no garbage of earlier trials, nor what is made beforehand, be looked through again."""
    gc.collect()
    gc.freeze()


def _latencies(
    name: str, waits: Latencies, p50_ms: float | None = None, p99_ms: float | None = None
) -> list[Row]:
    return [
        Row(f"{name}, p50", waits.p50_ms, "ms", at_most=p50_ms),
        Row(f"{name}, p99", waits.p99_ms, "ms", at_most=p99_ms),
        Row(f"{name}, slowest", waits.most_ms, "ms"),
    ]


# -- BATCHROUTE --------------------------------------------------------------------------------


def batches(bench: Bench) -> Iterator[Row]:
    """One batch after another, and where its time goes."""
    sizes, tally = bench.sizes, bench.tally(BATCH)
    with grpc.insecure_channel(bench.served.address, OPTIONS) as channel:

        def seconds(count: int) -> list[float]:
            waits = []
            for _ in range(count):
                (message,) = bench.orders.messages(sizes.orders)
                answer = one_by_one(channel, message)
                waits.append(answer.seconds)
                bench.settle([answer], tally)
            return waits

        seconds(sizes.warm)
        _quiet()
        before = bench.served.read()
        waits = seconds(sizes.batches)
        stages = bench.served.read().mean_ms_since(before)
    yield from _latencies(BATCH, Latencies.of(waits), BATCH_P50_MS, BATCH_P99_MS)
    mean_ms = 1e3 * fmean(waits)
    yield Row(f"{BATCH}, mean", mean_ms, "ms")
    for stage, ms in stages.items():
        yield Row(f"… {stage}", ms, "ms")
    yield Row("… transport and the rest", mean_ms - sum(stages.values()), "ms")


# -- STREAMROUTE -------------------------------------------------------------------------------


def streams(bench: Bench) -> Iterator[Row]:
    """The highest rate at which the target is met, and the same rate without the crowding."""
    sizes, tally = bench.sizes, bench.tally(BURSTS)
    asyncio.run(_offered(bench, sizes.rates_per_s[0], sizes.warm, tally, evenly=False))
    held: dict[int, Latencies] = {}
    for rate in sizes.rates_per_s:
        waits = asyncio.run(_offered(bench, rate, sizes.instants, tally, evenly=False))
        yield Row(f"{BURSTS}, {rate:,} orders/s, p99", waits.p99_ms, "ms")
        if held and waits.p99_ms > STREAM_P99_MS:
            break
        held[rate] = waits
    rate, waits = max(held.items())
    yield Row("StreamRoute, offered", rate, "orders/s")
    yield Row("StreamRoute, every", 1e3 * sizes.orders / rate, "ms")
    yield Row("StreamRoute, messages", sizes.messages * sizes.instants, "messages")
    yield from _latencies(BURSTS, waits, p99_ms=STREAM_P99_MS)
    tally = bench.tally(EVENLY)
    waits = asyncio.run(_offered(bench, rate, sizes.instants, tally, evenly=True))
    yield from _latencies(EVENLY, waits, p99_ms=STREAM_P99_MS)


async def _offered(
    bench: Bench, rate_per_s: int, instants: int, tally: Tally, *, evenly: bool
) -> Latencies:
    """So many orders at each instant, or the same messages evenly over the time between two."""
    sizes = bench.sizes
    between_s = sizes.orders / rate_per_s
    plans: list[list[Due]] = [[] for _ in range(sizes.streams)]
    for instant in range(instants):
        for number, message in enumerate(bench.orders.messages(sizes.orders, sizes.messages)):
            share = number / sizes.messages if evenly else 0.0
            plans[number % sizes.streams].append(Due(message, (instant + share) * between_s))
    _quiet()
    async with grpc.aio.insecure_channel(bench.served.address, OPTIONS) as channel:
        answers = list(chain.from_iterable(await open_loop(channel, plans)))
    bench.settle(answers, tally)
    return Latencies.of(
        [answer.seconds for answer in answers],
        weights=[len(answer.to.order_ids) for answer in answers],
    )


# -- ROUTE, ONE ORDER A CALL -------------------------------------------------------------------


def calls(bench: Bench) -> Iterator[Row]:
    """What unary calls can do: few callers, and many."""
    sizes, tally = bench.sizes, bench.tally(UNARY)
    for callers, count in zip(sizes.callers, sizes.calls, strict=True):
        per_s, waits = asyncio.run(_called(bench, callers, count, tally))
        name = f"{UNARY}, {callers:,} in flight"
        yield Row(name, per_s, "calls/s")
        yield from _latencies(name, waits)


async def _called(bench: Bench, callers: int, count: int, tally: Tally) -> tuple[float, Latencies]:
    warm = bench.orders.singles(callers * bench.sizes.warm)
    messages = bench.orders.singles(count)
    async with grpc.aio.insecure_channel(bench.served.address, OPTIONS) as channel:
        bench.settle(await closed_loop(channel, warm, callers), tally)
        _quiet()
        began = clock()
        answers = await closed_loop(channel, messages, callers)
        seconds = clock() - began
    bench.settle(answers, tally)
    return count / seconds, Latencies.of([answer.seconds for answer in answers])


# -- FENDAN.AIO.CLIENT -------------------------------------------------------------------------


def concurrent(bench: Bench) -> Iterator[Row]:
    """Many `route()` at once in one process; a call's time begins when the first of them does."""
    yield from asyncio.run(_concurrent(bench))


async def _concurrent(bench: Bench) -> list[Row]:
    sizes, tally = bench.sizes, bench.tally(AIO)
    waits: list[float] = []
    totals: list[float] = []
    sent = 0
    async with fendan.aio.Client(bench.served.address, timeout_s=TIMEOUT_S) as client:
        for round in range(-sizes.warm, sizes.rounds):
            orders = bench.orders.objects(sizes.orders)
            _quiet()
            before = bench.served.read()
            decisions, ends = await _at_once(client, orders)
            tally.decided(len(orders), decisions)
            bench.give_back(order.id for order in orders)
            if round >= 0:
                waits += ends
                totals.append(max(ends))
                sent += bench.served.read().messages - before.messages
    return [
        *_latencies(
            f"{AIO}, {sizes.orders:,} calls at once", Latencies.of(waits), p99_ms=AIO_P99_MS
        ),
        Row(f"{AIO}, all of them", 1e3 * median(totals), "ms"),
        Row(f"{AIO}, all of them, messages", sent / sizes.rounds, "messages"),
    ]


async def _at_once(
    client: fendan.aio.Client, orders: Sequence[fendan.Order]
) -> tuple[list[fendan.Decision], list[float]]:
    """The decisions, and when each was there, in seconds."""
    ends: list[float] = []

    async def route(order: fendan.Order) -> fendan.Decision:
        decision = await client.route(order)
        ends.append(clock() - began)
        return decision

    began = clock()
    decisions = await asyncio.gather(*map(route, orders))
    return decisions, ends


# -- STOCK -------------------------------------------------------------------------------------


def stock(bench: Bench) -> Iterator[Row]:
    """Whole stores' snapshots, many in one message, and orders one by one meanwhile."""
    tally = bench.tally(MEANWHILE)
    message, rows = _snapshots(bench)
    with (
        grpc.insecure_channel(bench.served.address, OPTIONS) as channel,
        ThreadPoolExecutor(1) as pool,
    ):
        _quiet()
        updating = pool.submit(_set_stock, channel, message, bench.sizes.updates)
        waits = []
        while not updating.done():
            (order,) = bench.orders.objects(1)
            began = clock()
            decision = bench.client.route(order)
            waits.append(clock() - began)
            tally.decided(1, [decision])
            bench.give_back([order.id])
    yield Row(f"{STOCK}, rows", rows, "rows")
    yield from _latencies(STOCK, Latencies.of(updating.result()))
    yield from _latencies(MEANWHILE, Latencies.of(waits))


def _snapshots(bench: Bench) -> tuple[bytes, int]:
    """What some stores have, as a message to set it so, and how many rows that is."""
    request = SetStockRequest()
    for status in bench.client.stores()[: bench.sizes.snapshots]:
        levels = bench.client.stock(status.store.id)
        counts = [StockCount(sku=level.sku, on_hand=level.on_hand) for level in levels]
        request.snapshots.add(store_id=status.store.id, counts=counts)
    return request.SerializeToString(), sum(len(part.counts) for part in request.snapshots)


def _set_stock(channel: grpc.Channel, message: bytes, times: int) -> list[float]:
    """Send a message so often; how long each took."""
    call: Any = channel.unary_unary("/fendan.v1.InventoryService/SetStock")
    waits = []
    for _ in range(times):
        began = clock()
        answer = SetStockResponse.FromString(call(message, timeout=TIMEOUT_S))
        waits.append(clock() - began)
        assert all(outcome.status == STOCK_OUTCOME_STATUS_APPLIED for outcome in answer.outcomes)
        time.sleep(PAUSE_S)
    return waits


# -- MEMORY ------------------------------------------------------------------------------------


def memory(bench: Bench) -> Iterator[Row]:
    """How the server grows while orders come, are given back, and are forgotten."""
    sizes = bench.sizes
    resident = _resident(bench)
    if not resident:
        return  # the system does not say
    settled = {
        orders: found for orders, found in resident.items() if orders >= sizes.settled_orders
    }
    slope = float(np.polyfit(list(settled), list(settled.values()), 1)[0])
    filled = resident[sizes.settled_orders] - resident[sizes.filling_orders]
    yield Row(f"{MEMORY}, growth an order", slope, "bytes", at_most=GROWTH_BYTES)
    yield Row(f"{MEMORY}, growth until then", filled / MIB, "MiB")
    yield Row(f"{MEMORY}, at the end", resident[sizes.memory_orders] / MIB, "MiB")


def _resident(bench: Bench) -> dict[int, int]:
    """Bytes by how many orders came before; none where the system does not say."""
    sizes, tally = bench.sizes, bench.tally(MEMORY)
    resident: dict[int, int] = {}
    with grpc.insecure_channel(bench.served.address, OPTIONS) as channel:
        while tally.orders < sizes.memory_orders:
            (message,) = bench.orders.messages(sizes.orders)
            bench.settle([one_by_one(channel, message)], tally)
            if tally.orders % sizes.sampled_orders:
                continue
            found = bench.served.read().resident_bytes
            if found is None:
                break
            resident[tally.orders] = found
    return resident
