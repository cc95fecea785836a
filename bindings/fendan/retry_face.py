"""The engine's own part of trying waiting orders again: who is concerned, and one attempt."""

import json
from collections import Counter
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fendan.engine.batch import Batch
from fendan.engine.book import Rules
from fendan.engine.network import Layout
from fendan.engine.records import OrderState
from fendan.engine.retry import asked_for, retry, retry_rejected
from fendan.engine.router import Status
from fendan.errors import Fault, FendanError, UnknownOrderError, refuse
from fendan.exception_entry import APPROVED, ExceptionEntry, ExceptionKind, text_of
from fendan.exception_figures import Figures
from fendan.exception_queue import ExceptionQueue
from fendan.life_face import LifeFace
from fendan.model import Order
from fendan.retry import RetryPolicy
from fendan.ruling_face import RulingFace
from fendan.waiting import Rank, Waiter, Waiting

__all__ = ["HOMELESS", "RetryFace"]

# How much of what changed one turn looks at: what is more concerns nearly everybody anyway.
MOST_CHANGES = 100_000
LOWER_BITS = 0xFFFFFFFF
NOWHERE_M = -1.0  # no store is as near
FRONT = -1  # the turn of an order that a store had already
HOMELESS = frozenset({OrderState.REJECTED, OrderState.EXPIRED})


class RetryFace(LifeFace, RulingFace):
    """Marks the waiting orders that changes concern, and tries those that are marked."""

    _queue: ExceptionQueue | None = None
    """None until it is kept."""

    def _begin_queue(self, queue: ExceptionQueue, policy: RetryPolicy) -> None:
        """Keep a queue from now on."""
        self._queue, self._waiting = queue, Waiting(policy)
        self._unwritten: dict[str, str] = {}
        self._found_home: list[str] = []
        self._buyers: Counter[str] = Counter()
        self._groups: dict[str, set[str]] = {}
        self._seen_changes = len(self._stock.changes)
        self._seen_layout: Layout | None = None
        self._seen_edge_ns = 0
        self._seen_room: NDArray[np.uint64] | None = None
        for entry in sorted(queue, key=lambda one: one.since_ns):
            self._wait_for(entry, entry.since_ns)
        self._waiting.all_changed()

    def _kept_queue(self) -> ExceptionQueue:
        if self._queue is None:
            hint = "no exception queue is kept; call keep_exceptions first"
            refuse(Fault.WRONG_STATE, "engine", hint=hint)
        return self._queue

    # -- WHO IS CONCERNED ----------------------------------------------------------------------

    def _wait_for(self, entry: ExceptionEntry, now_ns: int) -> None:
        """Note what an entry waits for, if it waits."""
        self._wait_no_more(entry.id)
        if entry.kind is not ExceptionKind.WAITING:
            return
        buyer = entry.order.buyer_id if entry.order else ""
        turn = self._buyers[buyer] if buyer else 0
        if entry.order is None:
            turn = FRONT
        if buyer:
            self._buyers[buyer] += 1
        if entry.order is not None and entry.order.group_id:
            self._groups.setdefault(entry.order.group_id, set()).add(entry.id)
        rank: Rank = (-entry.priority, turn, entry.since_ns, entry.id)
        self._waiting.add(rank, self._skus_of(entry), now_ns)

    def _wait_no_more(self, name: str) -> None:
        assert self._queue is not None
        entry = self._queue.get(name)
        if name not in self._waiting:
            return
        self._waiting.remove(name)
        if entry is not None and entry.order is not None:
            if entry.order.buyer_id:
                self._buyers[entry.order.buyer_id] -= 1
            if entry.order.group_id:
                self._groups[entry.order.group_id].discard(name)

    def _skus_of(self, entry: ExceptionEntry) -> set[int]:
        """The codes of the SKUs that an order waits for: of bundles, their parts."""
        if entry.order is None:
            lines = asked_for(self._orders, entry.id)[2] if entry.id in self._orders else []
            codes = {code for code, _, _ in lines}
        else:
            known = self._stock.sku_code_of
            codes = {known[sku] for sku, *_ in entry.order.lines if sku in known}
        if self._bundles is not None:
            parts = [self._bundles.parts_of.get(code, {code: 1}) for code in codes]
            codes = {part for each in parts for part in each}
        return {self._known_supplies().of.get(code, (code, ""))[0] for code in codes}

    def _pass_over(self, first: int) -> None:
        """Changes from this one on were reservations: they leave less, which concerns nobody."""
        if self._queue is not None and self._seen_changes == first:
            self._seen_changes = len(self._stock.changes)

    def _follow_changes(self, now_ns: int) -> None:
        """Mark those whom something concerns that changed since this was last looked at."""
        changes, waiting = self._stock.changes, self._waiting
        if len(changes) > self._seen_changes:
            pairs = changes.since(self._seen_changes, MOST_CHANGES)
            if pairs is None or len(changes) - self._seen_changes > MOST_CHANGES:
                waiting.all_changed()
            else:
                supplies = self._known_supplies().of
                for sku in np.unique(pairs & LOWER_BITS).tolist():
                    waiting.sku_changed(supplies.get(sku, (sku, ""))[0])
        self._follow_stores()
        rules = self._rules_at(now_ns)
        edge_ns = 0 if rules is None or self._ruling is None else self._ruling.next_edge_ns
        if edge_ns != self._seen_edge_ns:
            waiting.all_changed()
        self._seen_edge_ns = edge_ns

    def _follow_stores(self) -> None:
        """Mark those that a store which is open again, or has room again, could fill."""
        layout, loads = self._network.layout, self._orders.loads
        if layout is not self._seen_layout:
            self._waiting.all_changed()
        self._seen_layout = layout
        if loads is None:
            return
        loads.refresh(self._last_ns)
        room = loads.room.copy()
        before, self._seen_room = self._seen_room, room
        if before is None or len(before) != len(room):
            self._waiting.all_changed()
            return
        if not (room & ~before).any():
            return
        ordinals = layout.arrays["ordinal_of"]
        regained = (room & ~before)[ordinals >> 6] >> (ordinals & 63).astype(np.uint64) & 1
        for store in np.flatnonzero(regained).tolist():
            for sku in self._stock.listed_by(store).tolist():
                self._waiting.sku_changed(sku)

    # -- TRYING --------------------------------------------------------------------------------

    def _try_candidates(self, now_ns: int) -> tuple[int, list[str]]:
        """How many were tried, and who was assigned; at most one turn."""
        waiting, tried = self._waiting, 0
        self._found_home.clear()
        rules = self._rules_at(now_ns)
        for waiter in waiting.candidates(now_ns):
            tried += 1
            if not self._attempt(waiter.id, rules, now_ns) and waiter.id in waiting:
                self._failed(waiter, now_ns)
            if tried >= waiting.policy.most_per_turn:
                break
        self._seen_changes = len(self._stock.changes)  # since then stock only shrank
        return tried, list(self._found_home)

    def _try_now(self, name: str, now_ns: int) -> None:
        """One order, whatever it waits for."""
        self._attempt(name, self._rules_at(now_ns), now_ns)

    def _failed(self, waiter: Waiter, now_ns: int) -> None:
        """Try it later; or let a person see to it, where it was tried often and long enough."""
        awaited = {own for own, _ in self._known_supplies().of.values()}
        for sku in waiter.skus:
            if sku not in awaited and not len(self._stock.offers_of(sku)[0]):
                self._waiting.exhausted(sku)
        if not self._waiting.failed(waiter, now_ns):
            self._hold(waiter.id)

    def _hold(self, name: str) -> None:
        """A waiting order is to be looked at by a person."""
        queue = self._kept_queue()
        entry = queue.get(name)
        assert entry is not None
        attempts = self._waiting.get(name)
        self._wait_no_more(name)
        held = replace(
            entry, kind=ExceptionKind.HELD, attempts=attempts.attempts if attempts else 0
        )
        queue.put(held)
        self._unwritten[name] = text_of(held)

    def _attempt(self, name: str, rules: Rules | None, now_ns: int) -> bool:
        """Whether a waiting order is assigned now; of a group, all of it is decided together."""
        entry = self._kept_queue().get(name)
        assert entry is not None
        state = self._state_of(name)
        if state is OrderState.UNASSIGNED:
            return self._attempt_first(entry, rules, now_ns)
        if state in HOMELESS:
            found = retry_rejected(self._life, name, rules, now_ns)
            is_home = self._state_of(name) not in HOMELESS
            if found and is_home:
                self._leave(name, _how(entry))
            return found and is_home
        if state is None:
            return self._attempt_new(entry, rules, now_ns)
        self._leave(name, "cancelled" if state is OrderState.CANCELLED else "by_hand")
        return True

    def _attempt_first(self, entry: ExceptionEntry, rules: Rules | None, now_ns: int) -> bool:
        """An order that never was at a store, decided as if it came now."""
        unit = self._unit_of(entry)
        batch = self._batch_or_hold(entry, unit, rules)
        if batch is None:
            return False
        assigned = retry(self._life, batch, rules, now_ns)
        for one, is_assigned in zip(unit, assigned, strict=True):
            if is_assigned:
                self._leave(one.id, _how(one))
        return assigned[[one.id for one in unit].index(entry.id)]

    def _attempt_new(self, entry: ExceptionEntry, rules: Rules | None, now_ns: int) -> bool:
        """An order that was never routed, or so long ago that it was forgotten."""
        batch = self._batch_or_hold(entry, [entry], rules)
        if batch is None:
            return False
        outcome = self._orders.route(
            batch,
            self._limits[0],
            due_ns=self._life.due_ns(now_ns),
            rules=rules,
            now_ns=now_ns,
        )
        is_assigned = int(outcome.verdicts["status"][0]) == Status.ASSIGNED
        if is_assigned:
            self._leave(entry.id, _how(entry))
        return is_assigned

    def _unit_of(self, entry: ExceptionEntry) -> list[ExceptionEntry]:
        """The waiting orders that are decided with this one: all of its group, or it alone."""
        group = self._groups.get(entry.order.group_id) if entry.order else None
        if not group or entry.id not in group:
            return [entry]
        found = [self._kept_queue().get(name) for name in sorted(group)]
        unit = [one for one in found if one is not None]
        return [one for one in unit if self._state_of(one.id) is OrderState.UNASSIGNED]

    def _batch_or_hold(
        self, entry: ExceptionEntry, unit: list[ExceptionEntry], rules: Rules | None
    ) -> Batch | None:
        """What is to be routed; where it cannot be any more, a person must see to the entry."""
        try:
            return self._batch_of([self._order_of(one) for one in unit], rules)
        except FendanError:  # its pickup store was removed, say, or what it asked for is forgotten
            self._hold(entry.id)
            return None

    def _batch_of(self, orders: list[Order], rules: Rules | None) -> Batch:
        asking = None if rules is None else rules.asking
        batch = Batch.of_orders(orders, self._stock.sku_code_of, self._datum, "orders", asking)
        return self._as_parts(batch, rules)

    def _register(self, entry: ExceptionEntry, store: int, now_ns: int) -> bool:
        """Have an order be known that never was routed, or was forgotten: UNASSIGNED so far.

        False, and nothing changes, where the store is paused or does not have all of it.
        """
        batch = self._batch_of([self._order_of(entry)], None)
        lines = batch.lines_as_arrays
        has_all = not self._network.layout.closed[store] and all(
            self._stock.sellable_of(store, sku) >= quantity
            for sku, quantity in zip(lines["skus"], lines["quantities"], strict=True)
        )
        if has_all:
            self._orders.route(batch, NOWHERE_M, now_ns=now_ns)
        return has_all

    def _order_of(self, entry: ExceptionEntry) -> Order:
        if entry.order is None:
            refuse(Fault.WRONG_STATE, "order_id", entry.id, hint="it could not be read")
        return entry.order

    def _leave(self, name: str, how: str) -> None:
        """An order is done with: it leaves the queue, if it stands there, and is counted."""
        queue = self._kept_queue()
        if name not in queue:
            return
        self._wait_no_more(name)
        entry = queue.pop(name)
        assert entry is not None
        self._unwritten[name] = ""
        self._figures.count(how, entry.since_ns)
        if how != "cancelled":
            self._found_home.append(name)

    def _state_of(self, name: str) -> OrderState | None:
        """Where an order is, as far as it is known; at no store where one of its shipments is."""
        try:
            state, *_, shipments = self._life.status(name)
        except UnknownOrderError:
            return None
        homeless = (one[1] for one in shipments if one[1] in HOMELESS)
        return next(homeless, state)

    def _channel_of(self, name: str) -> str:
        """The channel that an order named, if a policy or a share does, too."""
        grant = self._orders.grant(name)
        if grant is None or not grant["policy_version"] or int(grant["channel"]) < 0:
            return ""
        named: list[str] = json.loads(self._documents.get(("names", "channels"), "[]"))
        return named[int(grant["channel"])]

    _figures: Figures


def _how(entry: ExceptionEntry) -> str:
    return "by_hand" if APPROVED in entry.codes else "by_retry"
