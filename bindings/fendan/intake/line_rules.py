"""Rules about what is ordered: lines, SKUs, quantities, units, barcodes."""

import numpy as np
from numpy.typing import NDArray

from fendan.intake.rule import Found, Rule, Severity, Subject, Threshold
from fendan.intake.view import UNSAID, View, fitting

__all__ = ["LINE_RULES"]

# With the most lines an order may have, a basket still has fewer pieces than the engine can count.
MOST_LINES = 1_000
MOST_PIECES = 1_000_000


def empty_order(view: View, _: float) -> Found:
    """An order has no lines."""
    return view.lines == 0


def too_many_lines(view: View, most: float) -> Found:
    """An order has more lines than people order."""
    return view.lines > most


def unknown_sku(view: View, _: float) -> Found:
    """A SKU for which the engine has never had a count, or none at all."""
    return view.sku < 0


def quantity_not_positive(view: View, _: float) -> Found:
    """A quantity is zero, below it, or not there."""
    return view.received.quantity <= 0


def quantity_large(view: View, most: float) -> Found:
    """More pieces in a line than people order."""
    return view.received.quantity > int(most)


def item_limit(view: View, _: float) -> Found:
    """More pieces of a SKU in an order than its item says; the limit is met line by line."""
    most = view.known.most_per_order
    if not most.any():
        return None
    found = np.zeros(view.line_count, dtype=np.bool_)
    rows = np.flatnonzero((view.sku >= 0) & (most[view.sku] > 0))
    sku = view.sku[rows]
    so_far = running_sums(_positive(view, rows), sku, view.order_of_line[rows])
    found[rows] = so_far > most[sku]
    return found


def unit_mismatch(view: View, _: float) -> Found:
    """The line says another unit (规格) than the SKU's item does."""
    unit = view.known.unit[view.sku]
    return (view.sku >= 0) & (unit >= 0) & (view.unit != UNSAID) & (view.unit != unit)


def barcode_mismatch(view: View, _: float) -> Found:
    """The line's barcode is none of the SKU's."""
    is_judged = view.known.has_barcode[view.sku] | (view.barcode >= 0)
    asked = (view.sku >= 0) & is_judged & (view.barcode != UNSAID)
    return asked & (view.known.barcode_sku[view.barcode] != view.sku)


def off_shelf(view: View, _: float) -> Found:
    """The order's channel does not sell the SKU."""
    if not view.known.off_shelf.any():
        return None
    channel = view.channel[view.order_of_line]
    bits = view.known.off_shelf[view.sku] >> np.maximum(channel, 0).astype(np.uint64)
    return (view.sku >= 0) & (channel >= 0) & (bits & np.uint64(1)).astype(np.bool_)


def restricted(view: View, _: float) -> Found:
    """Goods that somebody has to look at before they are sold, such as medicine."""
    return view.known.restricted[view.sku] & (view.sku >= 0)


def last_units(view: View, _: float) -> Found:
    """With this line less is left of a protected SKU (库存预警) than its item keeps.

    As if every line before it, of this call, had been sold.
    """
    if not view.known.protected.any():
        return None
    found = np.zeros(view.line_count, dtype=np.bool_)
    rows = np.flatnonzero((view.sku >= 0) & (view.known.protected[view.sku] > 0))
    if len(rows):
        sku = view.sku[rows]
        taken = running_sums(_positive(view, rows), sku)
        found[rows] = view.known.free(sku) - taken < view.known.protected[sku]
    return found


def running_sums(
    values: NDArray[np.int64], group: NDArray[np.int64], within: NDArray[np.int64] | None = None
) -> NDArray[np.int64]:
    """For each value the sum of its group's up to and with it; `within`: groups end with these."""
    keys = (group,) if within is None else (group, within)
    order = np.lexsort(keys)
    sums = np.cumsum(values[order])
    is_first = np.zeros(len(order), dtype=np.bool_)
    is_first[:1] = True
    for key in keys:
        is_first[1:] |= np.diff(key[order]) != 0
    before = np.where(is_first, sums - values[order], 0)
    starts = np.maximum.accumulate(np.where(is_first, np.arange(len(order)), 0))
    result = np.empty_like(values)
    result[order] = sums - before[starts]
    return result


def _positive(view: View, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.maximum(fitting(view.received.quantity[rows]), 0)


LINE_RULES = (
    Rule(
        code="EMPTY_ORDER",
        subject=Subject.ORDER,
        severity=Severity.REJECT,
        judge=empty_order,
        english="an order without lines",
        chinese="订单没有商品行",
        must_stop=True,
    ),
    Rule(
        code="TOO_MANY_LINES",
        subject=Subject.ORDER,
        severity=Severity.HOLD,
        judge=too_many_lines,
        threshold=Threshold(100, "lines", 1, MOST_LINES),
        english="an order has more lines than the threshold",
        chinese="订单商品行数超过上限",
        must_stop=True,
    ),
    Rule(
        code="UNKNOWN_SKU",
        subject=Subject.LINE,
        severity=Severity.REJECT,
        judge=unknown_sku,
        english="a SKU that no stock was ever set for",
        chinese="未知商品：从未有过库存记录的 SKU",
        must_stop=True,
    ),
    Rule(
        code="QUANTITY_NOT_POSITIVE",
        subject=Subject.LINE,
        severity=Severity.REJECT,
        judge=quantity_not_positive,
        english="a quantity of zero, below zero, or none",
        chinese="数量为零、负数或缺失",
        must_stop=True,
    ),
    Rule(
        code="QUANTITY_LARGE",
        subject=Subject.LINE,
        severity=Severity.HOLD,
        judge=quantity_large,
        threshold=Threshold(500, "pieces", 1, MOST_PIECES),
        english="more pieces in a line than the threshold",
        chinese="单行数量超过上限",
        must_stop=True,
    ),
    Rule(
        code="ITEM_LIMIT",
        subject=Subject.LINE,
        severity=Severity.HOLD,
        judge=item_limit,
        english="more pieces of a SKU in an order than its item's `most_per_order`",
        chinese="单笔订单中某商品数量超过其限购数（`most_per_order`）",
    ),
    Rule(
        code="UNIT_MISMATCH",
        subject=Subject.LINE,
        severity=Severity.HOLD,
        judge=unit_mismatch,
        english="another unit than the SKU's item has",
        chinese="规格（单位）与商品资料不符",
    ),
    Rule(
        code="BARCODE_MISMATCH",
        subject=Subject.LINE,
        severity=Severity.HOLD,
        judge=barcode_mismatch,
        english="a barcode that is not the SKU's, where items say barcodes",
        chinese="条码与商品资料不符",
    ),
    Rule(
        code="OFF_SHELF",
        subject=Subject.LINE,
        severity=Severity.REJECT,
        judge=off_shelf,
        english="the channel does not sell the SKU (`Item.off_shelf`, `set_hidden_skus`)",
        chinese="商品在该渠道已下架（`Item.off_shelf`、`set_hidden_skus`）",
    ),
    Rule(
        code="RESTRICTED",
        subject=Subject.LINE,
        severity=Severity.HOLD,
        judge=restricted,
        english="restricted goods, such as alcohol or medicine (`Item.restricted`)",
        chinese="限制销售的商品，如酒类、药品（`Item.restricted`）",
    ),
    Rule(
        code="LAST_UNITS",
        subject=Subject.LINE,
        severity=Severity.HOLD,
        judge=last_units,
        english="leaves all stores together less than the item's `protected_pieces`",
        chinese="库存预警：下单后全部门店可售数低于受保护商品的保护量（`protected_pieces`）",
    ),
)
