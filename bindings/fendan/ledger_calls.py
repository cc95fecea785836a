"""What a client says to the service about the ledger: as `fendan.calls`, for LedgerService."""

from collections.abc import Iterable

from fendan.calls import as_column, renamed
from fendan.channel import Call, Exchange, message_of
from fendan.engine.events import EventKind
from fendan.errors import FendanError
from fendan.ledger import Filter, checked_limit, checked_sequence
from fendan.ledger_messages import event_filter_message, event_page_of
from fendan.model import EventPage
from fendan.v1 import ledger_service_pb2 as ledger

LEDGER = "/fendan.v1.LedgerService"
FILTER = "filter."


def events(
    from_sequence: int,
    limit: int,
    store_ids: Iterable[str] | None,
    regions: Iterable[str] | None,
    order_ids: Iterable[str] | None,
    kinds: Iterable[EventKind] | None,
) -> Exchange[EventPage]:
    """One page."""
    request = ledger.ReadEventsRequest(
        from_sequence=checked_sequence(from_sequence, "from_sequence"),
        limit=checked_limit(limit),
        filter=event_filter_message(Filter.of(store_ids, regions, order_ids, kinds)),
    )
    try:
        answer: ledger.ReadEventsResponse = yield Call.of(
            f"{LEDGER}/ReadEvents", request, ledger.ReadEventsResponse
        )
    except FendanError as error:
        raise as_argument(error) from None
    return event_page_of(answer)


def as_argument(error: FendanError) -> FendanError:
    """An error of the request's filter, as the engine names it: filter.store_ids[3] is row 3."""
    if not error.field.startswith(FILTER):
        return error
    return as_column(renamed(error, error.field.removeprefix(FILTER), error.row))


class Tail:
    """What a reader wants to know, and how far it has come; a break loses and repeats nothing."""

    method = f"{LEDGER}/Tail"

    def __init__(
        self,
        from_sequence: int,
        store_ids: Iterable[str] | None,
        regions: Iterable[str] | None,
        order_ids: Iterable[str] | None,
        kinds: Iterable[EventKind] | None,
    ) -> None:
        self._wanted = ledger.TailRequest(
            from_sequence=checked_sequence(from_sequence, "from_sequence"),
            filter=event_filter_message(Filter.of(store_ids, regions, order_ids, kinds)),
        )

    def request(self) -> bytes:
        """What to ask for now."""
        return self._wanted.SerializeToString()

    def heard(self, data: bytes) -> EventPage:
        """The events of one message, after which the tail goes on."""
        page = event_page_of(message_of(ledger.TailResponse, data))
        self._wanted.from_sequence = page.next_sequence
        return page

    def broke(self) -> None:
        """Nothing is lost: it goes on from where it was."""
