from collections.abc import Callable
from typing import Final, NamedTuple, Self, final

import numpy as np
from numpy.typing import NDArray

from fendan.engine.link import Tls
from fendan.errors import Fault as Fault
from fendan.errors import refuse as refuse

MOST_CONNECTIONS: Final[int]
MOST_STREAMS: Final[int]
UNANSWERED: Final[int]
UNSENT: Final[int]

class Outcome(NamedTuple):
    latencies_ns: NDArray[np.int64]
    statuses: NDArray[np.int8]
    seconds: float
    bytes_sent: int
    bytes_received: int
    lost: int
    said: dict[int, str]
    answers: bytes

@final
class Traffic:
    def __init__(
        self,
        address: str,
        *,
        connections: int = 8,
        streams: int = 1,
        tls: Tls | None = None,
        token: str | None = None,
        open_s: float = 10.0,
    ) -> None: ...
    def send(
        self,
        path: str,
        requests: bytes,
        offsets: NDArray[np.int64],
        *,
        due_ns: NDArray[np.int64] | None = None,
        deadline_s: float = 60.0,
        keep_answers: bool = False,
        watch: Callable[[NDArray[np.int64], NDArray[np.int8]], object] | None = None,
    ) -> Outcome: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...
