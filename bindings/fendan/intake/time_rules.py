"""Rules about when an order was placed, and when it is promised. Instants not said are not judged.

Thresholds move the present, not the instants that platforms send: those may be any number.
"""

from fendan.intake.received import NOT_SAID
from fendan.intake.rule import Found, Rule, Severity, Subject, Threshold
from fendan.intake.view import View
from fendan.rules import OrderType
from fendan.times import NS_PER_HOUR, NS_PER_MINUTE

__all__ = ["TIME_RULES"]


def placed_in_future(view: View, most_minutes: float) -> Found:
    """Placed later than now, by more than clocks differ."""
    return view.received.placed_ns > view.known.now_ns + int(most_minutes * NS_PER_MINUTE)


def stale(view: View, most_hours: float) -> Found:
    """Placed so long ago that nobody waits for it any more."""
    placed_ns = view.received.placed_ns
    earliest_ns = view.known.now_ns - int(most_hours * NS_PER_HOUR)
    return (placed_ns != NOT_SAID) & (placed_ns < earliest_ns)


def promise_past(view: View, _: float) -> Found:
    """The promised time is over."""
    until_ns = view.received.promised_until_ns
    return (until_ns != NOT_SAID) & (until_ns < view.known.now_ns)


def promise_unreachable(view: View, least_minutes: float) -> Found:
    """The promised time ends too soon for anyone, or before it begins."""
    orders, now_ns = view.received, view.known.now_ns
    until_ns = orders.promised_until_ns
    is_soon = (until_ns >= now_ns) & (until_ns < now_ns + int(least_minutes * NS_PER_MINUTE))
    is_upside_down = (until_ns != NOT_SAID) & (orders.promised_from_ns > until_ns)
    return is_soon | is_upside_down


def presale_without_date(view: View, _: float) -> Found:
    """A presale order does not say when it is to be sent."""
    orders = view.received
    return (orders.order_type == OrderType.PRESALE) & (orders.presale_ship_ns == NOT_SAID)


TIME_RULES = (
    Rule(
        code="PLACED_IN_FUTURE",
        subject=Subject.ORDER,
        severity=Severity.HOLD,
        judge=placed_in_future,
        threshold=Threshold(5, "minutes", 0, 1_440),
        english="placed later than now, by more than the threshold",
        chinese="下单时间晚于当前时间，且超过阈值",
    ),
    Rule(
        code="STALE",
        subject=Subject.ORDER,
        severity=Severity.HOLD,
        judge=stale,
        threshold=Threshold(24, "hours", 0, 8_760),
        english="placed longer ago than the threshold",
        chinese="下单时间过早，超过阈值",
    ),
    Rule(
        code="PROMISE_PAST",
        subject=Subject.ORDER,
        severity=Severity.HOLD,
        judge=promise_past,
        english="the promised time is over",
        chinese="承诺送达时间已过",
    ),
    Rule(
        code="PROMISE_UNREACHABLE",
        subject=Subject.ORDER,
        severity=Severity.HOLD,
        judge=promise_unreachable,
        threshold=Threshold(10, "minutes", 0, 1_440),
        english="the promised time ends sooner than the threshold, or before it begins",
        chinese="距承诺送达时间不足阈值，或承诺时段起止颠倒",
    ),
    Rule(
        code="PRESALE_WITHOUT_DATE",
        subject=Subject.ORDER,
        severity=Severity.HOLD,
        judge=presale_without_date,
        english="a presale order without a date to send it",
        chinese="预售订单没有发货日期",
    ),
)
