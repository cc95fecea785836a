"""Orders that a hand has split: what `dispatch` would have decided, said by a test."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fendan import Decision, Engine, Order, distance_m
from fendan.engine.batch import Batch
from fendan.engine.outcome import Outcome, decisions
from fendan.engine.router import VERDICT_DTYPE, Reason, Status
from fendan.engine.shipments import GRANT_DTYPE, Shipments
from fendan.rules import OrderType, StepName

VERSION = 7
PROMISED_NS = 1_800_000_000_000_000_000


@dataclass(frozen=True)
class Share:
    """What one store is to send."""

    store_id: str
    pieces: Mapping[str, int]
    promised_ns: int = PROMISED_NS


def a_grant(**fields: Any) -> Any:
    """What an order is promised, as a row of GRANT_DTYPE."""
    grant = np.zeros((), GRANT_DTYPE)
    for name in ("channel", "region"):
        grant[name] = -1
    usual = {
        "policy_version": VERSION,
        "order_type": OrderType.SAME_DAY,
        "step": StepName.WIDER,
        "promised_ns": PROMISED_NS,
    }
    for name, value in {**usual, **fields}.items():
        grant[name] = value
    return grant


def settle(
    engine: Engine,
    shares: Mapping[str, tuple[Share, ...]],
    orders: list[Order],
    *,
    dry_run: bool = False,
    **grant: Any,
) -> Outcome:
    """Have new orders be told that these stores send them: none, one, or several."""
    places = {one.store.id: (one.store.lat, one.store.lng) for one in engine.stores()}
    with engine._command():
        stock, network = engine._stock, engine._network
        batch = Batch.of_orders(orders, stock.sku_code_of, engine.datum)
        new = list({order.id: order for order in orders}.values())
        verdicts = np.zeros(len(new), VERDICT_DTYPE)
        grants = np.full(len(new), a_grant(**grant), GRANT_DTYPE)
        parts = []
        for row, order in enumerate(new):
            amounts = {sku: said[0] if said else 0 for sku, _, *said in order.lines}
            far = {
                one.store_id: distance_m(order.lat, order.lng, *places[one.store_id])
                for one in shares[order.id]
            }
            verdicts[row]["store"], verdicts[row]["distance_m"] = -1, np.nan
            verdicts[row]["status"] = Status.UNASSIGNED
            verdicts[row]["reason"] = Reason.NO_STOCK
            for share in shares[order.id][:1]:
                verdicts[row]["store"] = network.code_of[share.store_id]
                verdicts[row]["distance_m"] = far[share.store_id]
                verdicts[row]["status"], verdicts[row]["reason"] = Status.ASSIGNED, Reason.NONE
            if len(shares[order.id]) > 1:
                parts += [
                    (
                        row,
                        network.code_of[share.store_id],
                        far[share.store_id],
                        share.promised_ns,
                        [
                            (stock.sku_code_of.get(sku), pieces, amounts.get(sku, 0))
                            for sku, pieces in share.pieces.items()
                        ],
                    )
                    for share in shares[order.id]
                ]
        return engine._orders.settle(batch, verdicts, grants, Shipments.of(parts), dry_run=dry_run)


def split(engine: Engine, order: Order, *shares: Share, **grant: Any) -> Decision:
    """One order, and what it was told."""
    (decision,) = decisions([order.id], settle(engine, {order.id: shares}, [order], **grant))
    return decision
