from typing import Final

from fendan.errors import Fault as Fault
from fendan.errors import refuse as refuse

CONNECT_S: Final[float]
UNIX: Final[str]
WAITING: Final[int]

def listen_at(address: str, reuse: bool) -> int: ...
def accept_at(listener: int) -> int: ...
def connect_to(address: str) -> int: ...
