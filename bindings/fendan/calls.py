"""What each method of a client says to the service, without saying how it gets there.

Each function is the conversation of one method: it checks what only the caller's side can check,
yields the calls to make, and makes of the answers what `fendan.Engine` would have returned, and of
the errors what it would have raised. `fendan.Client` and `fendan.aio.Client` carry them out.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from fendan.channel import Call, Exchange, message_of, service_error
from fendan.columns import rows, strings
from fendan.engine import wire
from fendan.engine.geo import Datum
from fendan.engine.network import ID_HINT, is_usable_id
from fendan.engine.outcome import Decision
from fendan.engine.place import place_of
from fendan.errors import Fault, FendanError, refuse
from fendan.messages import (
    availability_changes_of,
    datum_message,
    line_messages,
    nearby_of,
    policy_message,
    shortfall_of,
    store_message,
    store_status_of,
)
from fendan.model import (
    AvailabilityChanges,
    Line,
    Nearby,
    Order,
    Policy,
    Shortfall,
    Store,
    StoreStatus,
)
from fendan.priority import IN_ORDER, checked_allocation
from fendan.v1 import inventory_service_pb2 as inventory
from fendan.v1 import network_service_pb2 as network
from fendan.v1 import routing_service_pb2 as routing

ROUTING = "/fendan.v1.RoutingService"
INVENTORY = "/fendan.v1.InventoryService"
NETWORK = "/fendan.v1.NetworkService"

# The largest page there is: what is wanted is all of it.
PAGE_SIZE = 10_000

INT32_MAX = 2**31 - 1


def renamed(error: FendanError, field: str, row: int | None = None) -> FendanError:
    """The same error, of a value as the caller knows it."""
    place = field if row is None else f"{field} (row {row})"
    prose = error.message.partition(": ")[2]
    return type(error)(
        f"{place}: {prose}",
        fault=error.fault,
        field=field,
        row=row,
        value=error.value,
        hint=error.hint,
    )


# -- ROUTING -----------------------------------------------------------------------------------


def route(order: Order, policy: Policy | None, dry_run: bool) -> Exchange[Decision]:
    """One order by itself."""
    request = wire.write_request([order], policy=policy, dry_run=dry_run, style="order")
    try:
        data: bytes = yield Call(f"{ROUTING}/Route", request)
    except FendanError as error:
        raise as_single(error, order) from None
    return _decisions(data, wire.ROUTE, 1)[0]


def route_batch(
    orders: Iterable[Order], policy: Policy | None, dry_run: bool, allocate: str = IN_ORDER
) -> Exchange[list[Decision]]:
    """Many orders in one message."""
    by_priority = checked_allocation(allocate)
    wanted = rows("orders", orders)
    request = wire.write_request(wanted, policy=policy, dry_run=dry_run, by_priority=by_priority)
    data: bytes = yield Call(f"{ROUTING}/BatchRoute", request)
    return _decisions(data, wire.BATCH, len(wanted))


def _decisions(data: bytes, kind: wire.Kind, count: int) -> list[Decision]:
    decided = wire.read_response(data, kind).decisions
    if len(decided) != count:
        raise service_error(Fault.INTERNAL, f"{len(decided)} decisions on {count} orders")
    return decided


def as_single(error: FendanError, order: Order) -> FendanError:
    """An error of one order among many, as of the only one: orders[3].lat is order.lat."""
    path = re.sub(r"^(order|orders\[\d+\])\.", "", error.field)
    if path == error.field:
        return error
    single = renamed(error, f"order.{path}")
    if single.value is None:  # a refusal in a stream does not repeat it
        single.value = _value_at(order, path)
    return single


def _value_at(order: Order, path: str) -> object:
    if line := re.fullmatch(r"lines\[(\d+)\]\.(sku|quantity|amount)", path):
        return order.lines[int(line[1])][("sku", "quantity", "amount").index(line[2])]
    return getattr(order, path, None)


def nearest(
    lat: float,
    lng: float,
    lines: Sequence[Line],
    limit: int,
    policy: Policy | None,
    datum: Datum | None,
) -> Exchange[list[Nearby]]:
    """The nearest stores that have a basket."""
    if not isinstance(limit, int) or limit < 0:
        refuse(Fault.OUT_OF_RANGE, "limit", limit, hint="must be a whole number from 0")
    wanted = Order(id="-", lat=lat, lng=lng, lines=rows("lines", lines), datum=datum)
    place_of(wanted, _own(wanted), "", None)
    wire.write_request([wanted] if wanted.lines else [], policy=policy, style="")  # checks them
    request = routing.NearestRequest(
        lat=lat,
        lng=lng,
        datum=datum_message(datum),
        lines=line_messages(wanted.lines),
        limit=min(max(limit, 1), INT32_MAX),
        policy=None if policy is None else policy_message(policy),
    )
    answer: routing.NearestResponse = yield Call.of(
        f"{ROUTING}/Nearest", request, routing.NearestResponse
    )
    return [nearby_of(store) for store in answer.stores][:limit]


def _own(thing: Store | Order) -> Any:
    """Its own datum, to which converting it changes nothing."""
    return getattr(thing, "datum", None)


# -- NAMES -------------------------------------------------------------------------------------


def as_column(error: FendanError) -> FendanError:
    """An error of one value of a list, as the engine names it: order_ids[3] is order_ids, row 3."""
    place = re.fullmatch(r"(\w+)\[(\d+)\]", error.field)
    return renamed(error, place[1], int(place[2])) if place else error


def as_only(error: FendanError, column: str, field: str) -> FendanError:
    """An error of the only value of a column, which the caller gave as `field`."""
    return renamed(error, field) if error.field in (column, f"{column}[0]") else error


def _ids(field: str, names: Iterable[str]) -> list[str]:
    """Ids that can be sent, of whatever can be iterated."""
    return strings(field, rows(field, names))


def check_known(fault: Fault, field: str, name: object, row: int | None = None) -> None:
    """What is no str cannot be sent, and nobody knows it; the rest is for the service to judge."""
    if not isinstance(name, str):
        refuse(fault, field, name, row=row)


# -- STORES ------------------------------------------------------------------------------------


def add_stores(stores: Iterable[Store]) -> Exchange[None]:
    """New stores. Not repeatable: the second time they are known."""
    request = network.AddStoresRequest(stores=_store_messages(stores))
    yield Call.of(f"{NETWORK}/AddStores", request, network.AddStoresResponse, repeatable=False)


def update_stores(stores: Iterable[Store]) -> Exchange[None]:
    """Other places and regions."""
    request = network.UpdateStoresRequest(stores=_store_messages(stores))
    yield Call.of(f"{NETWORK}/UpdateStores", request, network.UpdateStoresResponse)


def _store_messages(stores: Iterable[Store]) -> list[network.Store]:
    sent = []
    for row, store in enumerate(rows("stores", stores)):
        name: Any = getattr(store, "id", None)
        if not is_usable_id(name):
            refuse(Fault.BAD_ID, f"stores[{row}].id", name, row=row, hint=ID_HINT)
        place_of(store, _own(store), "stores", row)
        region: Any = getattr(store, "region", None)
        if region != "" and not is_usable_id(region):
            refuse(Fault.BAD_ID, f"stores[{row}].region", region, row=row, hint=ID_HINT)
        sent.append(store_message(store))
    return sent


def pause_stores(store_ids: Iterable[str]) -> Exchange[None]:
    """No more orders for these."""
    request = network.PauseStoresRequest(store_ids=_ids("store_ids", store_ids))
    yield from _columnwise(Call.of(f"{NETWORK}/PauseStores", request, network.PauseStoresResponse))


def resume_stores(store_ids: Iterable[str]) -> Exchange[None]:
    """Orders for these again."""
    request = network.ResumeStoresRequest(store_ids=_ids("store_ids", store_ids))
    yield from _columnwise(
        Call.of(f"{NETWORK}/ResumeStores", request, network.ResumeStoresResponse)
    )


def remove_stores(store_ids: Iterable[str]) -> Exchange[list[Shortfall]]:
    """Closed for good. Not repeatable: the second time they are not known."""
    request = network.RemoveStoresRequest(store_ids=_ids("store_ids", store_ids))
    answer: network.RemoveStoresResponse = yield from _columnwise(
        Call.of(f"{NETWORK}/RemoveStores", request, network.RemoveStoresResponse, repeatable=False)
    )
    return [shortfall_of(shortfall) for shortfall in answer.shortfalls]


def _columnwise(call: Call) -> Exchange[Any]:
    try:
        return (yield call)
    except FendanError as error:
        raise as_column(error) from None


def stores() -> Exchange[list[StoreStatus]]:
    """All stores, page by page."""
    found: list[StoreStatus] = []
    token = ""
    while True:
        request = network.ListStoresRequest(page_size=PAGE_SIZE, page_token=token)
        page: network.ListStoresResponse = yield Call.of(
            f"{NETWORK}/ListStores", request, network.ListStoresResponse
        )
        found += [store_status_of(store) for store in page.stores]
        token = page.next_page_token
        if not token:
            return found


# -- AVAILABILITY ------------------------------------------------------------------------------


class Watch:
    """What a watcher wants to know, and how far it has got; a break changes neither."""

    method = f"{INVENTORY}/WatchAvailability"

    def __init__(
        self,
        channel: str,
        store_ids: Iterable[str] | None,
        skus: Iterable[str] | None,
        cursor: str,
        changes_only: bool,
    ) -> None:
        for field, text in (("channel", channel), ("cursor", cursor)):
            if not isinstance(text, str):
                refuse(Fault.WRONG_TYPE, field, text, hint="must be a str")
        self._wanted = inventory.WatchAvailabilityRequest(
            channel=channel,
            store_ids=() if store_ids is None else _ids("store_ids", store_ids),
            skus=() if skus is None else _ids("skus", skus),
            cursor=cursor,
            changes_only=changes_only,
        )
        self._begins_again = False

    def request(self) -> bytes:
        """What to ask for now."""
        return self._wanted.SerializeToString()

    def heard(self, data: bytes) -> AvailabilityChanges:
        """The changes of one message, after which the watch stands at its cursor."""
        changes = availability_changes_of(message_of(inventory.WatchAvailabilityResponse, data))
        if self._begins_again:
            changes = replace(changes, reset=True)
            self._begins_again = False
        if changes.cursor:
            self._wanted.cursor = changes.cursor
        return changes

    def broke(self) -> None:
        """The connection broke: without a cursor the state begins again, and its reader must."""
        self._begins_again = not self._wanted.cursor
