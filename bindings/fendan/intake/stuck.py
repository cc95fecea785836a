"""An order that intake does not hand to a store: what the exception queue is told of it."""

import hashlib
from dataclasses import dataclass

from fendan.intake.payload import RawPayload
from fendan.intake.result import IntakeOutcome
from fendan.model import Order

__all__ = ["Stuck", "id_of_payload"]

# Enough to tell payloads apart; an order's id stands before it.
DIGEST_CHARACTERS = 12
MOST_ID_BYTES = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Stuck:
    """One of them: held, rejected or broken. Fields are as in `IntakeResult` and `Order`.

    `id`: the order's, or one that is made of its payload where the order's is another's already.
    `raw`: what came, as far as it is kept.
    """

    id: str
    outcome: IntakeOutcome
    codes: tuple[str, ...]
    order: Order | None = None
    channel: str = ""
    priority: int = 0
    raw: str = ""


def id_of_payload(payload: RawPayload, order_id: str) -> str:
    """What an exception is called that has no id of its own: the same bytes, the same exception.

    A broken copy of an order must not take the place of the order itself.
    """
    bytes_of = payload.platform.encode(errors="replace") + b"\0" + payload.data
    digest = hashlib.sha256(bytes_of).hexdigest()[:DIGEST_CHARACTERS]
    name = f"{order_id or 'payload'}~{digest}"
    return name if len(name.encode()) <= MOST_ID_BYTES else f"payload~{digest}"
