"""Rules about who orders, through which channel, and where it is fetched."""

import numpy as np

from fendan.engine.recent import MOST_ORDERS
from fendan.intake.rule import Found, Rule, Severity, Subject, Threshold
from fendan.intake.view import STRANGE, UNSAID, View
from fendan.rules import OrderType
from fendan.times import NS_PER_MINUTE

__all__ = ["ORDER_RULES"]


def id_missing(view: View, _: float) -> Found:
    """An order has no id, by which it could come again."""
    return view.order_hash == 0


def unknown_channel(view: View, _: float) -> Found:
    """The channel is none of those that the file lists; where it lists none, all are known."""
    return view.channel < 0 if view.known.all_channels else None


def channel_paused(view: View, _: float) -> Found:
    """The channel takes no orders now."""
    paused = view.known.paused_channels
    return np.isin(view.channel, list(paused)) if paused else None


def pickup_store_unknown(view: View, _: float) -> Found:
    """The store that it is to be fetched at is none of the chain's."""
    return view.pickup_store == STRANGE


def pickup_store_closed(view: View, _: float) -> Found:
    """The store that it is to be fetched at takes no orders now."""
    store = view.pickup_store
    return (store >= 0) & view.known.closed[store]


def group_without_pickup(view: View, _: float) -> Found:
    """A group order does not say where the group fetches it."""
    return (view.received.order_type == OrderType.GROUP) & (view.pickup_store == UNSAID)


def buyer_held(view: View, _: float) -> Found:
    """The buyer is on the hold list."""
    held = view.known.held_buyers
    return held.codes(view.received.buyer_ids, STRANGE, UNSAID) >= 0 if len(held) else None


def duplicate(view: View, most_minutes: float) -> Found:
    """Another order of the same buyer, to the same address, of the same basket, a while apart."""
    _, same_ns = view.recent
    return view.comparable & (same_ns <= int(most_minutes * NS_PER_MINUTE))


def buyer_limit(view: View, most: float) -> Found:
    """The buyer has placed as many other orders within an hour of this one."""
    others, _ = view.recent
    return others >= most


ORDER_RULES = (
    Rule(
        code="ID_MISSING",
        subject=Subject.ORDER,
        severity=Severity.REJECT,
        judge=id_missing,
        english="an order without an id",
        chinese="缺少订单号",
        must_stop=True,
    ),
    Rule(
        code="UNKNOWN_CHANNEL",
        subject=Subject.ORDER,
        severity=Severity.REJECT,
        judge=unknown_channel,
        english="a channel that is none of `channels`, where the file has these",
        chinese="未知渠道：配置了 `channels` 而订单渠道不在其中",
    ),
    Rule(
        code="CHANNEL_PAUSED",
        subject=Subject.ORDER,
        severity=Severity.HOLD,
        judge=channel_paused,
        english="a channel of `paused_channels`",
        chinese="渠道已暂停（`paused_channels`）",
    ),
    Rule(
        code="PICKUP_STORE_UNKNOWN",
        subject=Subject.ORDER,
        severity=Severity.REJECT,
        judge=pickup_store_unknown,
        english="a pickup store that is none of the chain's",
        chinese="未知自提门店",
        must_stop=True,
    ),
    Rule(
        code="PICKUP_STORE_CLOSED",
        subject=Subject.ORDER,
        severity=Severity.HOLD,
        judge=pickup_store_closed,
        english="a pickup store that is paused",
        chinese="自提门店暂停接单",
    ),
    Rule(
        code="GROUP_WITHOUT_PICKUP",
        subject=Subject.ORDER,
        severity=Severity.HOLD,
        judge=group_without_pickup,
        english="a group order without a pickup point",
        chinese="团购订单没有自提点",
    ),
    Rule(
        code="BUYER_HELD",
        subject=Subject.ORDER,
        severity=Severity.HOLD,
        judge=buyer_held,
        english="a buyer of `held_buyers`",
        chinese="买家在关注名单中（`held_buyers`）",
    ),
    Rule(
        code="BUYER_LIMIT",
        subject=Subject.ORDER,
        severity=Severity.HOLD,
        judge=buyer_limit,
        threshold=Threshold(20, "orders", 1, MOST_ORDERS),
        english="so many other orders of the buyer, placed less than an hour apart",
        chinese="同一买家一小时内的其他订单数达到阈值",
    ),
    Rule(
        code="DUPLICATE",
        subject=Subject.ORDER,
        severity=Severity.HOLD,
        judge=duplicate,
        threshold=Threshold(10, "minutes", 0, 1_440),
        english="the same buyer, address and basket as an order placed at most so long apart",
        chinese="疑似重复订单：同一买家、地址和商品，下单时间相差不超过阈值",
    ),
)
