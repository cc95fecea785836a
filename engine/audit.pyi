from typing import NamedTuple

from fendan.engine.orders import Orders

class Audit(NamedTuple):
    pairs: int
    orders: int
    problem: str | None

def audit(orders: Orders, all_named: bool = True) -> Audit: ...
