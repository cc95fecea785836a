from typing import final

@final
class Scratch:
    def __init__(self) -> None: ...
