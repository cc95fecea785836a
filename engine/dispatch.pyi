from typing import final

from fendan.engine.asking import Asking

@final
class Rules:
    def __init__(self, version: int, asking: Asking) -> None: ...
    @property
    def asking(self) -> Asking: ...
