"""The exception queue as protobuf messages, and back."""

from typing import cast

from fendan.exception_entry import ExceptionEntry, ExceptionKind
from fendan.exception_figures import DayFigures, ExceptionCount
from fendan.exception_queue import ExceptionFilter, ExceptionStats
from fendan.explain_messages import order_of
from fendan.messages import datum_message, line_messages, ns_of, time_message
from fendan.model import Order
from fendan.v1 import exception_service_pb2 as messages
from fendan.v1 import order_pb2 as orders

__all__ = [
    "entry_message",
    "entry_of_message",
    "figures_message",
    "figures_of",
    "filter_message",
    "filter_of",
    "stats_message",
    "stats_of",
]


def entry_message(entry: ExceptionEntry) -> messages.ExceptionEntry:
    """An entry for whoever looks."""
    next_ns = entry.next_try_ns
    return messages.ExceptionEntry(
        order_id=entry.id,
        kind=cast(messages.ExceptionKind, entry.kind),
        reason=entry.reason,
        codes=entry.codes,
        since=time_message(entry.since_ns),
        order=None if entry.order is None else _order_message(entry.order),
        channel=entry.channel,
        store_id=entry.store_id,
        priority=entry.priority,
        attempts=entry.attempts,
        next_try=None if next_ns is None else time_message(next_ns),
        raw=entry.raw,
    )


def entry_of_message(message: messages.ExceptionEntry) -> ExceptionEntry:
    """The entry of a message."""
    return ExceptionEntry(
        id=message.order_id,
        kind=ExceptionKind(message.kind),
        reason=message.reason,
        since_ns=ns_of(message.since),
        order=order_of(message.order, "order") if message.HasField("order") else None,
        channel=message.channel,
        store_id=message.store_id,
        priority=message.priority,
        attempts=message.attempts,
        next_try_ns=ns_of(message.next_try) if message.HasField("next_try") else None,
        codes=tuple(message.codes),
        raw=message.raw,
    )


def _order_message(order: Order) -> orders.Order:
    return orders.Order(
        id=order.id,
        lat=order.lat,
        lng=order.lng,
        lines=line_messages(order.lines),
        datum=datum_message(order.datum),
        order_type=cast(orders.OrderType, order.order_type),
        channel=order.channel,
        region=order.region,
        pickup_store_id=order.pickup_store_id,
        group_id=order.group_id,
        buyer_id=order.buyer_id,
        address_id=order.address_id,
        priority=order.priority,
    )


def filter_message(wanted: ExceptionFilter) -> messages.ExceptionFilter:
    """Which entries are meant."""
    before_ns = wanted.before_ns
    return messages.ExceptionFilter(
        kinds=[cast(messages.ExceptionKind, kind) for kind in wanted.kinds],
        reasons=wanted.reasons,
        channels=wanted.channels,
        store_ids=wanted.store_ids,
        before=None if before_ns is None else time_message(before_ns),
    )


def filter_of(message: messages.ExceptionFilter) -> ExceptionFilter:
    """Which entries a message means; kinds of a later version fit none."""
    known = {kind.value: kind for kind in ExceptionKind}
    return ExceptionFilter(
        kinds=tuple(known.get(kind, cast(ExceptionKind, kind)) for kind in message.kinds),
        reasons=tuple(message.reasons),
        channels=tuple(message.channels),
        store_ids=tuple(message.store_ids),
        before_ns=ns_of(message.before) if message.HasField("before") else None,
    )


def stats_message(stats: ExceptionStats) -> messages.GetExceptionStatsResponse:
    """How the queue stands."""
    kinds = [
        messages.GetExceptionStatsResponse.KindCount(
            kind=cast(messages.ExceptionKind, kind), count=count, oldest_s=stats.oldest_s[kind]
        )
        for kind, count in stats.by_kind.items()
    ]
    return messages.GetExceptionStatsResponse(kinds=kinds, reasons=stats.by_reason)


def stats_of(message: messages.GetExceptionStatsResponse) -> ExceptionStats:
    """How the queue stands."""
    return ExceptionStats(
        total=sum(one.count for one in message.kinds),
        by_kind={ExceptionKind(one.kind): one.count for one in message.kinds},
        by_reason=dict(sorted(message.reasons.items())),
        oldest_s={ExceptionKind(one.kind): one.oldest_s for one in message.kinds},
    )


def figures_message(figures: DayFigures) -> messages.GetExceptionFiguresResponse:
    """What became of a day's orders."""
    return messages.GetExceptionFiguresResponse(
        day=figures.day,
        taken=figures.taken,
        at_once=figures.at_once,
        by_retry=figures.by_retry,
        by_hand=figures.by_hand,
        cancelled=figures.cancelled,
        exceptions=[
            messages.GetExceptionFiguresResponse.ExceptionCount(
                reason=one.reason, store_id=one.store_id, channel=one.channel, count=one.count
            )
            for one in figures.exceptions
        ],
    )


def figures_of(message: messages.GetExceptionFiguresResponse) -> DayFigures:
    """What became of a day's orders."""
    return DayFigures(
        day=message.day,
        taken=message.taken,
        at_once=message.at_once,
        by_retry=message.by_retry,
        by_hand=message.by_hand,
        cancelled=message.cancelled,
        exceptions=tuple(
            ExceptionCount(
                reason=one.reason, store_id=one.store_id, channel=one.channel, count=one.count
            )
            for one in message.exceptions
        ),
    )
