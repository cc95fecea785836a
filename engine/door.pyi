from collections.abc import Mapping, Sequence
from typing import final

from fendan.engine.house import ENDINGS as ENDINGS
from fendan.engine.house import DoorLimits as DoorLimits
from fendan.engine.house import DoorStats as DoorStats
from fendan.engine.link import Tls
from fendan.engine.turns import Ending as Ending
from fendan.engine.turns import Turn

@final
class Door:
    port: int
    def __init__(
        self,
        *,
        listen: str,
        methods: Sequence[tuple[str, int]],
        tokens: Sequence[tuple[bytes, int]] | None,
        limits: DoorLimits,
        endings: Mapping[str, Ending],
        tls: Tls | None = None,
    ) -> None: ...
    def take(self) -> Turn | None: ...
    def hand_back(self, turn: Turn) -> None: ...
    def run(self) -> None: ...
    def drain(self) -> None: ...
    def close(self) -> None: ...
    @property
    def is_empty(self) -> bool: ...
    def stats(self) -> DoorStats: ...
