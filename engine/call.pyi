from collections.abc import Sequence
from typing import Any, NamedTuple, final

from fendan.engine.outcome import Decision
from fendan.engine.request import Kind

@final
class Buffer: ...

class Refusal(NamedTuple):
    status: int
    message: str
    code: str
    field: str
    retry_after_ms: int

class Response(NamedTuple):
    decisions: list[Decision]
    correlation_id: int
    refusal: Refusal | None

def write_request(
    orders: Sequence[Any],
    *,
    policy: Any = None,
    dry_run: bool = False,
    correlation_id: int = 0,
    by_priority: bool = False,
    style: str = "orders",
) -> bytes: ...
def check_policy(policy: Any) -> None: ...
def read_response(data: bytes, kind: Kind = Kind.STREAM) -> Response: ...
