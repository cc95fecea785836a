"""The engine's face for those who look after orders that nobody fills."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fendan import columns
from fendan.documents import texts_of
from fendan.engine.batch import Batch
from fendan.engine.book import Rules
from fendan.engine.outcome import Outcome, arranged
from fendan.engine.records import OrderState
from fendan.engine.retry import assign_to
from fendan.engine.router import Reason, Status
from fendan.errors import Fault, UnknownOrderError, refuse
from fendan.exception_entry import (
    APPROVED,
    EXPIRED,
    ExceptionEntry,
    ExceptionKind,
    checked,
    cut,
    entry_of,
    text_of,
)
from fendan.exception_figures import DayFigures, Figures
from fendan.exception_queue import (
    LARGEST_PAGE,
    MOST_ENTRIES,
    ExceptionFilter,
    ExceptionPage,
    ExceptionQueue,
    ExceptionStats,
    check_limit,
)
from fendan.life_face import _status
from fendan.model import Order, OrderStatus
from fendan.priority import turns_of, waiting_order
from fendan.profiles import StoreProfile
from fendan.retry import RetryPolicy, checked_retry, retry_of, retry_text
from fendan.retry_face import HOMELESS, RetryFace

__all__ = ["ExceptionFace", "RetryTurn"]

EXCEPTION, HOUR, RETRY = "exception", "exception_hour", "retry"
"""Kinds of documents: an entry by its order's id, the counts of an hour, the policy of retries."""

_PLAIN = StoreProfile()

# Whoever rejects such an order leaves it nowhere to go: a person has to see to it.
ENDS = {Reason.TOO_MANY_ATTEMPTS, Reason.PICKUP_STORE, Reason.GROUP_NOT_WHOLE}


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryTurn:
    """What one turn of retries did. `has_more`: others are to be tried in the next, at once."""

    tried: int
    assigned: tuple[str, ...]
    has_more: bool


class ExceptionFace(RetryFace):
    """The exception queue: once `keep_exceptions` was called, and ever after.

    From then on every order that is routed by id and not assigned, every one that a store rejects
    and no other takes, and every one that expires, stands in it until it is assigned or cancelled.
    """

    # -- THE QUEUE -----------------------------------------------------------------------------

    def keep_exceptions(self, retry: RetryPolicy | None = None) -> None:
        """Keep the queue from now on, and try its orders again as `retry` says.

        Raises InvalidInputError for a policy that cannot be.
        """
        policy = checked_retry(RetryPolicy() if retry is None else retry)
        with self._command():
            self._write_documents(RETRY, {"policy": retry_text(policy)})

    @property
    def keeps_exceptions(self) -> bool:
        """Whether the queue is kept."""
        return self._queue is not None

    @property
    def retry_policy(self) -> RetryPolicy:
        """How waiting orders are tried again. Raises WrongStateError where no queue is kept."""
        self._kept_queue()
        return self._waiting.policy

    def add_exceptions(self, entries: Iterable[ExceptionEntry]) -> None:
        """Put orders into the queue that were never routed: HELD, REJECTED or BROKEN ones.

        `since_ns` 0 is now; of `raw` as much is kept as may be. An order that was routed stays as
        it is; one that was put here before takes the place of its older self, and keeps its age.
        Raises InvalidInputError naming the row.
        """
        entries = [checked(one, row) for row, one in enumerate(columns.rows("entries", entries))]
        with self._command() as command:
            queue = self._kept_queue()
            if len(queue) + len(entries) > MOST_ENTRIES:
                hint = f"the queue has {len(queue):,}, and {MOST_ENTRIES:,} are the most"
                refuse(Fault.TOO_MANY, "entries", len(entries), hint=hint)
            for entry in entries:
                known = queue.get(entry.id)
                if self._state_of(entry.id) is not None:
                    continue
                since_ns = entry.since_ns or command.now_ns
                channel = entry.channel or (entry.order.channel if entry.order else "")
                if known is not None:
                    since_ns = known.since_ns
                else:
                    self._figures.count("taken", since_ns)
                self._put(
                    replace(entry, since_ns=since_ns, channel=channel, raw=cut(entry.raw)),
                    command.now_ns,
                    is_new=known is None,
                )
            self._write_exceptions()

    def exceptions(
        self, wanted: ExceptionFilter | None = None, *, limit: int = 1_000, after: str = ""
    ) -> ExceptionPage:
        """A page of the queue, by priority and then by age; at most `limit` entries, 1 to 10,000.

        Raises InvalidInputError.
        """
        check_limit(limit)
        with self._command():
            page = self._kept_queue().page(wanted or ExceptionFilter(), limit, after)
            return replace(page, entries=tuple(map(self._as_now, page.entries)))

    def export_exceptions(self, wanted: ExceptionFilter | None = None) -> Iterator[ExceptionEntry]:
        """All entries that are meant, page by page; some may come or leave meanwhile."""
        after, is_last = "", False
        while not is_last:
            page = self.exceptions(wanted, limit=LARGEST_PAGE, after=after)
            yield from page.entries
            after, is_last = page.after, not page.after

    def exception(self, order_id: str) -> ExceptionEntry:
        """The entry of an order. Raises UnknownOrderError where it has none."""
        with self._command():
            return self._as_now(self._entry(order_id))

    def exception_stats(self) -> ExceptionStats:
        """How many orders stand in the queue, why, and how long."""
        with self._command() as command:
            return self._kept_queue().stats(command.now_ns)

    def exception_figures(self, day: str, *, utc_offset_h: int = 8) -> DayFigures:
        """What became of the orders that came on a day, "2026-12-01", of a zone of whole hours.

        Kept for a quarter. Raises InvalidInputError.
        """
        with self._command():
            self._kept_queue()
            return self._figures.of_day(day, utc_offset_h)

    # -- BY HAND -------------------------------------------------------------------------------

    def retry_exceptions(self, order_ids: Iterable[str]) -> list[OrderStatus]:
        """Try waiting orders now, whatever they wait for; where each is then.

        Raises UnknownOrderError for an order that is not in the queue, WrongStateError for one that
        does not wait.
        """
        order_ids = columns.rows("order_ids", order_ids)
        with self._command() as command:
            self._kept_queue()
            for row, name in enumerate(order_ids):
                if self._entry(name, row).kind is not ExceptionKind.WAITING:
                    hint = "only orders that wait are tried again; approve it"
                    refuse(Fault.WRONG_STATE, "order_ids", name, row=row, hint=hint)
                self._check_routable(self._entry(name), command.now_ns)
            for name in order_ids:
                if name in self._kept_queue():  # or its group was assigned with another of it
                    self._try_now(name, command.now_ns)
            self._write_exceptions()
            return [_status(name, self._life.status(name)) for name in order_ids]

    def assign_exception(self, order_id: str, store_id: str) -> OrderStatus:
        """Give an order to a store by hand, whatever rules say; where it is then.

        It is held there for `Policy.reservation_timeout_s`, what waits for supply from its day on.

        Raises UnknownStoreError, UnknownOrderError for an order that is not in the queue,
        WrongStateError for one that could not be read, and WrongStoreError for a store that is
        paused or does not have all of it.
        """
        with self._command() as command:
            entry = self._entry(order_id)
            store = self._store_code(store_id)
            has_all = self._state_of(order_id) is not None or self._register(
                entry, store, command.now_ns
            )
            zone = self._store_profiles.get(store_id, _PLAIN).time_zone
            comes_ns = partial(self._known_supplies().comes_ns, zone=zone)
            if not has_all or not assign_to(self._life, order_id, store, comes_ns, command.now_ns):
                hint = "it is paused, or does not have all of it now"
                refuse(Fault.WRONG_STORE, "store_id", store_id, hint=hint)
            self._leave(order_id, "by_hand")
            self._write_exceptions()
            return _status(order_id, self._life.status(order_id))

    def approve_exception(self, order_id: str) -> OrderStatus:
        """Have an order that was held, or that a rule rejected, routed after all; where it is then.

        What no store can fill now waits from now on. Raises UnknownOrderError, and WrongStateError
        for an order that waits already or could not be read.
        """
        with self._command() as command:
            entry = self._entry(order_id)
            if entry.kind is ExceptionKind.WAITING:
                refuse(Fault.WRONG_STATE, "order_id", order_id, hint="it waits already")
            self._check_routable(entry, command.now_ns)
            codes = (*entry.codes, APPROVED)
            waiting = replace(entry, kind=ExceptionKind.WAITING, codes=codes)
            self._put(waiting, command.now_ns, is_new=False)
            self._try_now(order_id, command.now_ns)
            self._write_exceptions()
            return _status(order_id, self._life.status(order_id))

    def cancel_exception(self, order_id: str) -> None:
        """Give up an order, and take it out of the queue. Raises UnknownOrderError."""
        with self._command() as command:
            self._entry(order_id)
            if self._state_of(order_id) not in (None, OrderState.EXPIRED, OrderState.CANCELLED):
                self._life.cancel(order_id, command.now_ns)
            self._leave(order_id, "cancelled")
            self._write_exceptions()

    # -- BY ITSELF -----------------------------------------------------------------------------

    def retry_due(self) -> RetryTurn:
        """Try the waiting orders that a change concerns, or whose time has come.

        To be called often: with nothing to do it takes some microseconds. The most urgent come
        first, at most as many as the policy allows in one turn.
        """
        with self._command() as command:
            if self._queue is None:
                return RetryTurn(tried=0, assigned=(), has_more=False)
            self._follow_changes(command.now_ns)
            tried, assigned = self._try_candidates(command.now_ns)
            self._write_exceptions()
            has_more = tried >= self._waiting.policy.most_per_turn
            return RetryTurn(tried=tried, assigned=tuple(assigned), has_more=has_more)

    # -- WHO COMES -----------------------------------------------------------------------------

    def _decided(
        self,
        batch: Batch,
        radius_m: float,
        dry_run: bool,
        rules: Rules | None,
        now_ns: int,
        said_at: Callable[[int], Mapping[str, Any]],
        *,
        priorities: NDArray[np.int32] | None = None,
        by_priority: bool = False,
    ) -> Outcome:
        """Route a batch; whoever is not assigned waits, if that is kept."""
        whole = self._as_parts(batch, rules)
        turns = turns_of(priorities) if by_priority and priorities is not None else None
        taken, changes = self._orders.taken, len(self._stock.changes)
        outcome = self._orders.route(
            whole if turns is None else whole.subset(turns),
            radius_m,
            dry_run=dry_run,
            due_ns=self._life.due_ns(now_ns),
            rules=rules,
            now_ns=now_ns,
        )
        if turns is not None:
            outcome = arranged(outcome, np.argsort(turns))
        if self._orders.taken > taken:
            self._pass_over(changes)
            self._note_routed(batch, outcome, self._orders.taken - taken, said_at, now_ns)
        return outcome

    def _note_routed(
        self,
        batch: Batch,
        outcome: Outcome,
        taken: int,
        said_at: Callable[[int], Mapping[str, Any]],
        now_ns: int,
    ) -> None:
        """After a batch was routed within a command: those not assigned wait from now on."""
        if self._queue is None:
            return
        unassigned = np.flatnonzero(outcome.verdicts["status"] == Status.UNASSIGNED)
        fresh = mended = 0
        for row in unassigned.tolist():
            name = batch.id_of(row)
            known = self._queue.get(name)
            if known is not None and known.kind is ExceptionKind.WAITING:
                continue
            if self._state_of(name) is not OrderState.UNASSIGNED:
                continue  # it was told so long ago
            reason = Reason(int(outcome.verdicts["reason"][row]))
            order = waiting_order(batch, row, self._stock.skus, said_at(row))
            if known is not None and known.was_held_back:  # and counted when it came first
                self._wait(order, reason, known.since_ns, now_ns, is_new=False)
                mended += 1
            else:
                self._wait(order, reason, now_ns, now_ns, is_new=True)
            fresh += 1
        for name in self._held_back_in(batch):  # and found a store now
            self._leave(name, "by_hand")
            mended, fresh = mended + 1, fresh + 1
        self._figures.count("taken", now_ns, taken - mended)
        self._figures.count("at_once", now_ns, taken - fresh)
        self._write_exceptions()

    def _held_back_in(self, batch: Batch) -> list[str]:
        """Who was held back and has come all the same, without whoever held it back."""
        assert self._queue is not None
        held_back = self._queue.held_back
        if len(held_back) < len(batch):
            return [name for name in sorted(held_back) if name in self._orders]
        return sorted(held_back.intersection(map(batch.id_of, range(len(batch)))))

    def _wait(
        self, order: Order, reason: Reason, since_ns: int, now_ns: int, *, is_new: bool
    ) -> None:
        entry = ExceptionEntry(
            id=order.id,
            kind=ExceptionKind.WAITING,
            reason=reason.name,
            since_ns=since_ns,
            order=order,
            channel=order.channel,
            priority=order.priority,
        )
        self._put(entry, now_ns, is_new=is_new)

    def _stepped(self, order_ids: Iterable[str], now_ns: int, store_id: str = "") -> None:
        """What is at no store any more comes into the queue, and what is done with leaves it."""
        if self._queue is None:
            return
        for name in order_ids:
            try:
                status = _status(name, self._life.status(name))
            except UnknownOrderError:  # done with, and forgotten already
                self._leave(name, "cancelled")
                continue
            states = {one.state for one in status.shipments or (status,)}
            if states.isdisjoint(HOMELESS) and status.state is not OrderState.UNASSIGNED:
                self._leave(name, "cancelled")
            elif name not in self._queue and not states.isdisjoint(HOMELESS):
                is_expired = OrderState.REJECTED not in states
                is_held = is_expired or status.reason in ENDS
                entry = ExceptionEntry(
                    id=name,
                    kind=ExceptionKind.HELD if is_held else ExceptionKind.WAITING,
                    reason=EXPIRED if is_expired else status.reason.name,
                    since_ns=now_ns,
                    store_id=store_id,
                    channel=self._channel_of(name),
                )
                self._put(entry, now_ns, is_new=True)
        self._write_exceptions()

    # -- INSIDE --------------------------------------------------------------------------------

    def _entry(self, order_id: str, row: int | None = None) -> ExceptionEntry:
        entry = self._kept_queue().get(order_id) if isinstance(order_id, str) else None
        if entry is None:
            field = "order_id" if row is None else "order_ids"
            hint = "it is not in the exception queue"
            refuse(Fault.UNKNOWN_ORDER, field, order_id, row=row, hint=hint)
        return entry

    def _as_now(self, entry: ExceptionEntry) -> ExceptionEntry:
        """With how often it was tried since the engine was opened, and when it is again."""
        waiter = self._waiting.get(entry.id)
        if waiter is None or not waiter.attempts:
            return entry
        return replace(entry, attempts=waiter.attempts, next_try_ns=waiter.next_try_ns)

    def _check_routable(self, entry: ExceptionEntry, now_ns: int) -> None:
        """Refuse an order that was never routed and never can be, such as one of unknown SKUs."""
        if self._state_of(entry.id) is None:
            self._batch_of([self._order_of(entry)], self._rules_at(now_ns))

    def _before_close(self) -> None:
        super()._before_close()
        if self._queue is not None and self._figures.has_changed:
            with self._command():
                self._put_documents(HOUR, self._figures.changed(self._last_ns))

    def _documents_changed(self, kinds: set[str]) -> None:
        super()._documents_changed(kinds)
        if self._queue is not None:
            self._waiting.all_changed()
        text = self._documents.get((RETRY, "policy"))
        if RETRY not in kinds or text is None:
            return
        if self._queue is not None:
            self._waiting.policy = retry_of(text)
            return
        self._figures = Figures(texts_of(self._documents, HOUR))
        entries = [entry_of(*row) for row in texts_of(self._documents, EXCEPTION).items()]
        self._begin_queue(ExceptionQueue(entries), retry_of(text))

    def _write_exceptions(self) -> None:
        """Write down what changed of the queue, and the counts."""
        texts, self._unwritten = self._unwritten, {}
        if texts:
            self._put_documents(EXCEPTION, texts)
        if texts or self._figures.is_due(self._last_ns):
            self._put_documents(HOUR, self._figures.changed(self._last_ns))

    def _put(self, entry: ExceptionEntry, now_ns: int, *, is_new: bool) -> None:
        queue = self._kept_queue()
        if is_new:
            self._figures.count_exception(
                entry.reason, entry.store_id, entry.channel, entry.since_ns
            )
        queue.put(entry)
        self._unwritten[entry.id] = text_of(entry)
        self._wait_for(entry, now_ns)
