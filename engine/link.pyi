from os import PathLike
from typing import final

from fendan.errors import Fault as Fault
from fendan.errors import refuse as refuse

@final
class Tls:
    @staticmethod
    def server(
        certificate: str | PathLike[str],
        key: str | PathLike[str],
        client_ca: str | PathLike[str] | None = None,
    ) -> Tls: ...
    @staticmethod
    def client(
        server_name: str,
        *,
        ca: str | PathLike[str] | None = None,
        certificate: str | PathLike[str] | None = None,
        key: str | PathLike[str] | None = None,
    ) -> Tls: ...

@final
class Channel:
    def __init__(self, socket: int, tls: Tls | None = None, *, is_server: bool) -> None: ...
    @property
    def is_open(self) -> bool: ...
    @property
    def speaks_h2(self) -> bool: ...
    @property
    def wants_write(self) -> bool: ...
    def read(self, room: int) -> bytes | None: ...
    def write(self, data: bytes | bytearray | memoryview) -> int | None: ...
    def close(self) -> None: ...
