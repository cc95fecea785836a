"""The engine's face for those who must know everything that happened, once and in order."""

import threading
from collections.abc import Iterable
from numbers import Real

from fendan.core import Core
from fendan.engine.events import EventKind
from fendan.errors import Fault, refuse
from fendan.journal import Journal
from fendan.ledger import (
    USUAL_EVENTS,
    Filter,
    Names,
    checked_limit,
    checked_sequence,
    read_page,
)
from fendan.model import EventPage

__all__ = ["LedgerFace"]


class LedgerFace(Core):
    """Page by page through the ledger, and then waiting for more.

    Only what no power cut can take back is ever shown. Readers take no turn on the engine.
    """

    def events(
        self,
        from_sequence: int = 1,
        *,
        limit: int = USUAL_EVENTS,
        store_ids: Iterable[str] | None = None,
        regions: Iterable[str] | None = None,
        order_ids: Iterable[str] | None = None,
        kinds: Iterable[EventKind] | None = None,
    ) -> EventPage:
        """The first events from `from_sequence` on that fit all filters, `limit` at most.

        Go on from the page's `next_sequence`: then every event comes once, and in order. One call
        looks at 100,000 events at most, so a page may be empty though more are to come. Numbers are
        missing where events serve recovery alone. Regions are those of the stores now.

        Raises InvalidInputError for a number below 1, or of an event that is not kept any more; for
        a limit that is not 1 to 10,000; for internal kinds, and for empty filters.
        UnknownStoreError for a store that never was there; NoJournalError for an engine that keeps
        everything in memory.
        """
        journal = self._ledger_journal()
        checked_sequence(from_sequence, "from_sequence")
        checked_limit(limit)
        wanted = Filter.of(store_ids, regions, order_ids, kinds)
        # In this order: whatever is durable has been named.
        last_sequence = journal.durable_sequence
        names = Names(self._network.store_ids, self._network.regions, self._stock.skus)
        return read_page(journal.log, names, wanted, from_sequence, last_sequence, limit)

    def wait_for_event(self, after_sequence: int, timeout_s: float) -> bool:
        """Wait until there is an event after that one; whether there is, within the timeout.

        It may be one that nobody is shown. Raises InvalidInputError for a number below 0, and for a
        timeout that is no number of seconds from 0; NoJournalError as `events`.
        """
        journal = self._ledger_journal()
        checked_sequence(after_sequence, "after_sequence", least=0)
        if isinstance(timeout_s, bool) or not isinstance(timeout_s, Real):
            refuse(Fault.WRONG_TYPE, "timeout_s", timeout_s, hint="must be a number of seconds")
        if not 0 <= timeout_s < threading.TIMEOUT_MAX:
            refuse(Fault.OUT_OF_RANGE, "timeout_s", timeout_s, hint="must be seconds, from 0")
        return journal.wait_for_durable(after_sequence + 1, float(timeout_s))

    def _ledger_journal(self) -> Journal:
        if self._journal is None:
            hint = "an engine that was opened with a folder has one"
            refuse(Fault.NO_JOURNAL, "journal", hint=hint)
        return self._journal
