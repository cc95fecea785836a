"""Chains that keep a journal, for tests of what is read from it."""

from pathlib import Path

from fendan import Engine, EventPage, LedgerEvent, Order, Store
from fendan.filelog import FileLog

__all__ = ["Clock", "a_kept_chain", "all_events", "an_order", "kept"]

NOON_NS = 1_767_240_000 * 10**9  # 2026-01-01T04:00:00Z, noon in Shanghai
SECOND_NS = 10**9


class Clock:
    """A second passes whenever somebody looks."""

    def __init__(self) -> None:
        self.ns = NOON_NS

    def now_ns(self) -> int:
        self.ns += SECOND_NS
        return self.ns


def kept(folder: Path) -> Engine:
    """An engine whose journal is in a folder."""
    log = FileLog(folder, first_segment_bytes=1 << 20, segment_bytes=1 << 20)
    return Engine.open(folder, clock=Clock(), log=log, snapshot_bytes=0)


def a_kept_chain(folder: Path) -> Engine:
    """Three stores of two regions, with 10 each of tea and milk, in one journal."""
    engine = kept(folder)
    engine.add_stores(
        Store(id=name, lat=31.2, lng=121.4 + east / 100, region=region)
        for east, (name, region) in enumerate([("S1", "puxi"), ("S2", "puxi"), ("S3", "pudong")])
    )
    engine.set_stock((store, sku, 10) for store in ("S1", "S2", "S3") for sku in ("tea", "milk"))
    return engine


def an_order(name: str, sku: str = "tea", quantity: int = 1, lng: float = 121.4) -> Order:
    """An order beside S1, or at another longitude: S2 is at 121.41, S3 at 121.42."""
    return Order(id=name, lat=31.2, lng=lng, lines=[(sku, quantity)])


def all_events(engine: Engine, limit: int = 1_000) -> list[LedgerEvent]:
    """The whole ledger, page by page."""
    events: list[LedgerEvent] = []
    page = EventPage(events=(), next_sequence=1, last_sequence=1)
    while page.next_sequence <= page.last_sequence:
        page = engine.events(page.next_sequence, limit=limit)
        events += page.events
    return events
