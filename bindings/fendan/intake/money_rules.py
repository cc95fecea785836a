"""Rules about prices and sums. Amounts are minor units, and one that is not said is not judged."""

import numpy as np
from numpy.typing import NDArray

from fendan.engine.batch import MOST_AMOUNT
from fendan.intake.received import NOT_SAID
from fendan.intake.rule import Found, Rule, Severity, Subject, Threshold
from fendan.intake.view import MOST_FACTOR, View, fitting

__all__ = ["MONEY_RULES"]


def _said(amounts: NDArray[np.int64]) -> NDArray[np.bool_]:
    said: NDArray[np.bool_] = amounts != NOT_SAID
    return said


def amount_impossible(view: View, _: float) -> Found:
    """A price or a line's total is below zero, or more than the engine can count."""
    price, total = view.received.unit_price, view.received.line_total
    bad_price = _said(price) & ((price < 0) | (price > MOST_AMOUNT))
    return bad_price | (_said(total) & ((total < 0) | (total > MOST_AMOUNT)))


def price_zero(view: View, _: float) -> Found:
    """A piece costs nothing."""
    return view.received.unit_price == 0


def price_off_list(view: View, most_percent: float) -> Found:
    """A piece costs more or less than the list price, by more than so many percent of it."""
    listed, price = view.known.list_price[view.sku], view.received.unit_price
    is_judged = (listed > 0) & (view.sku >= 0) & _said(price)
    off = np.abs(fitting(price) - listed)
    return is_judged & (off * 100.0 > most_percent * listed)


def line_total_off(view: View, most: float) -> Found:
    """A line's total is not quantity times price, by more than so much."""
    lines = view.received
    price, total = lines.unit_price, lines.line_total
    is_judged = _said(price) & _said(total) & (lines.quantity != NOT_SAID)
    product = fitting(fitting(price, MOST_FACTOR) * fitting(lines.quantity, MOST_FACTOR))
    return is_judged & (np.abs(fitting(total) - product) > most)


def item_total_off(view: View, most: float) -> Found:
    """The total of the items is not the sum of the lines' totals, by more than so much."""
    total, lines = view.received.item_total, view.received.line_total
    unsaid = view.per_order((~_said(lines)).astype(np.int64))
    is_judged = _said(total) & (unsaid == 0) & (view.lines > 0)
    off = np.abs(fitting(total) - view.per_order(fitting(lines)))
    return is_judged & (off > most)


def order_total_off(view: View, most: float) -> Found:
    """What is paid is not the items, plus other charges, less the discount, by more than so much.

    Charges and a discount that are not said are none.
    """
    orders = view.received
    is_judged = _said(orders.order_total) & _said(orders.item_total)
    other = np.where(_said(orders.other_charges), fitting(orders.other_charges), 0)
    discount = np.where(_said(orders.discount), fitting(orders.discount), 0)
    total = fitting(orders.item_total) + other - discount
    return is_judged & (np.abs(fitting(orders.order_total) - total) > most)


def amount_large(view: View, most: float) -> Found:
    """An order costs so much that somebody should look at it."""
    return view.received.order_total > int(most)


MONEY_RULES = (
    Rule(
        code="AMOUNT_IMPOSSIBLE",
        subject=Subject.LINE,
        severity=Severity.REJECT,
        judge=amount_impossible,
        english="a price or line total below zero, or above 1,000,000,000,000",
        chinese="单价或行金额为负数，或大于 1,000,000,000,000",
        must_stop=True,
    ),
    Rule(
        code="PRICE_ZERO",
        subject=Subject.LINE,
        severity=Severity.HOLD,
        judge=price_zero,
        english="a unit price of zero",
        chinese="单价为零",
    ),
    Rule(
        code="PRICE_OFF_LIST",
        subject=Subject.LINE,
        severity=Severity.HOLD,
        judge=price_off_list,
        threshold=Threshold(50, "% of it", 0, 100_000),
        english="a unit price that is farther from the list price than the threshold",
        chinese="单价与目录价的偏差超过阈值",
    ),
    Rule(
        code="LINE_TOTAL_OFF",
        subject=Subject.LINE,
        severity=Severity.WARN,
        judge=line_total_off,
        threshold=Threshold(1, "minor units", 0, 1_000_000),
        english="a line total that is not quantity times price, by more than the threshold",
        chinese="行金额与数量×单价之差超过阈值",
    ),
    Rule(
        code="ITEM_TOTAL_OFF",
        subject=Subject.ORDER,
        severity=Severity.HOLD,
        judge=item_total_off,
        threshold=Threshold(10, "minor units", 0, 1_000_000),
        english="an item total that is not the sum of the line totals, by more than the threshold",
        chinese="商品总额与各行金额之和之差超过阈值",
    ),
    Rule(
        code="ORDER_TOTAL_OFF",
        subject=Subject.ORDER,
        severity=Severity.HOLD,
        judge=order_total_off,
        threshold=Threshold(10, "minor units", 0, 1_000_000),
        english="an order total that is not items plus charges less discount, by more than that",
        chinese="订单总额与“商品总额＋其他费用－优惠”之差超过阈值",
    ),
    Rule(
        code="AMOUNT_LARGE",
        subject=Subject.ORDER,
        severity=Severity.HOLD,
        judge=amount_large,
        threshold=Threshold(500_000, "minor units", 1, MOST_AMOUNT),
        english="an order total above the threshold",
        chinese="订单总额超过审核阈值",
    ),
)
