from typing import final

@final
class Records:
    def __len__(self) -> int: ...
    @property
    def byte_count(self) -> int: ...
