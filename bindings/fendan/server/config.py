"""What `fendan serve` can be told: a TOML file, flags that win over it, and defaults for the rest.

Every setting is checked before the server does anything, alone and together with the others. A
server that others can reach needs TLS and tokens, unless it is told by name to do without.
"""

import codecs
import ipaddress
import re
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo
from pydantic_core import PydanticCustomError

from fendan.engine.geo import Datum
from fendan.errors import Fault, refuse
from fendan.retry import RetryPolicy
from fendan.server import toml

__all__ = [
    "Config",
    "Data",
    "Door",
    "Intake",
    "Keepalive",
    "Limits",
    "Log",
    "Metrics",
    "Orders",
    "Tls",
    "Tracing",
]

KIB = 1024
MIB = 1024 * KIB

# gRPC and HTTP/2 count in 32-bit integers.
MOST_INT = 2**31 - 1

# A queue of more bytes is a slip of the keyboard.
MOST_QUEUE_BYTES = 1024 * 1024 * MIB

# What the protobuf contract promises; a server may accept fewer.
MOST_ORDERS_PER_REQUEST = 100_000

# Beyond it, a chain is asked order by order instead of routed through.
MOST_ATTEMPTS = 100

# Terabytes between two snapshots are a slip of the keyboard; and a year is for ever.
MOST_SNAPSHOT_BYTES = 1024 * 1024 * MIB
YEAR_S = 365 * 24 * 3_600.0

HOUR_S = 3_600.0

UNIX = "unix:"
ADDRESS = re.compile(r"(?P<host>[\w.-]+|\[[0-9a-fA-F:.%\w]+\]):(?P<port>\d{1,5})", re.ASCII)
PORT = re.compile(r"\d{1,5}", re.ASCII)
MOST_PORT = 65_535

NO_DOOR = (
    "this build of Fendan has no native door: install libnghttp2-dev libssl-dev pkg-config "
    "(Debian, Ubuntu) or libnghttp2-devel openssl-devel pkgconf (Fedora) and build it again; "
    "it needs Linux: on macOS, a container"
)


# -- TYPES -------------------------------------------------------------------------------------


def _to_path(value: object) -> object:
    return Path(value) if isinstance(value, str) and value else value


def _from_here(path: Path, info: ValidationInfo) -> Path:
    """The path, which starts from the folder of the configuration."""
    folder: Path = (info.context or {}).get("folder", Path())
    return folder / path


def _existing(path: Path, info: ValidationInfo) -> Path:
    """The file, found from the folder of the configuration."""
    found = _from_here(path, info)
    try:
        there = found.is_file()
    except OSError:
        there = False  # a folder on the way is closed to us
    if not there:
        raise PydanticCustomError("no_such_file", "there is no such file")
    return found


def _to_datum(value: object) -> object:
    if not isinstance(value, str):
        return value
    for datum in Datum:
        if value.replace("-", "").upper() == datum.name:
            return datum
    raise ValueError(f"it must be one of {', '.join(datum.value for datum in Datum)}")


def _address(value: str) -> str:
    if value.startswith(UNIX) and len(value) > len(UNIX):
        return value
    match = ADDRESS.fullmatch(value)
    if match is None or int(match["port"]) > MOST_PORT:
        raise ValueError("it must be HOST:PORT, such as 127.0.0.1:50051, or unix:PATH")
    return value


def _door_address(value: str) -> str:
    if PORT.fullmatch(value) and int(value) <= MOST_PORT:
        return value
    try:
        return _address(value)
    except ValueError:
        hint = "it must be a port, such as 50052, HOST:PORT or unix:PATH"
        raise ValueError(hint) from None


def _tcp_address(value: str) -> str:
    if value.startswith(UNIX):
        raise ValueError("it must be HOST:PORT, such as 127.0.0.1:9464")
    return _address(value)


def _encoding(value: str) -> str:
    try:
        codecs.lookup(value)
    except LookupError:
        raise ValueError("it must be an encoding, such as utf-8 or gbk") from None
    return value


File = Annotated[Path, BeforeValidator(_to_path), AfterValidator(_existing)]
Folder = Annotated[Path, BeforeValidator(_to_path), AfterValidator(_from_here)]
Address = Annotated[str, AfterValidator(_address)]
DoorAddress = Annotated[str, AfterValidator(_door_address)]
TcpAddress = Annotated[str, AfterValidator(_tcp_address)]
AnyDatum = Annotated[Datum, BeforeValidator(_to_datum)]
Encoding = Annotated[str, AfterValidator(_encoding)]


# -- SECTIONS ----------------------------------------------------------------------------------


class Tls(toml.Section):
    """Who the server proves to be, and who its clients must. PEM files."""

    certificate: Annotated[File | None, Field(examples=["server.pem"])] = None
    """The server's certificate and those between it and its authority. Without it: no TLS."""
    key: Annotated[File | None, Field(examples=["server.key"])] = None
    """The certificate's private key, not encrypted."""
    client_ca: Annotated[File | None, Field(examples=["clients.pem"])] = None
    """The authority of client certificates. With it, clients need one (mutual TLS)."""


class Data(toml.Section):
    """Where the server keeps what it knows, and what it begins with in a new folder."""

    folder: Annotated[Folder | None, Field(examples=["journal"])] = None
    """Of the journal; it is made. Without it: fendan/data (fendan/demo) among the user's data."""
    durability: Literal["sync", "async", "none"] = "sync"
    """What an answer survives: sync a power cut, async the same 20 ms later, none a kill only."""
    snapshot_bytes: Annotated[int, Field(ge=0, le=MOST_SNAPSHOT_BYTES)] = 256 * MIB
    """A snapshot is taken after so much journal, to open the folder faster; 0: never."""
    stores: Annotated[File | None, Field(examples=["stores.csv"])] = None
    """Columns store_id, lat, lng; CSV or Parquet. Read only while there are no stores."""
    stock: Annotated[File | None, Field(examples=["stock.csv"])] = None
    """Columns store_id, sku, quantity; CSV or Parquet. Read only while there is no stock."""
    encoding: Encoding = "utf-8"
    """Of the CSV files, such as gbk."""
    datum: AnyDatum = Datum.WGS84
    """The grid of all latitudes and longitudes: WGS84, GCJ-02 or BD-09."""
    radius_m: Annotated[float | None, Field(ge=0.0, examples=[3_000.0])] = None
    """How far a store may be from an order, in metres, unless the request says. Without it: any."""
    remembered_orders: Annotated[int, Field(ge=1, le=MOST_INT)] = 1_000_000
    """How many orders get their first answer again; beyond it the oldest are forgotten."""


class Orders(toml.Section):
    """What becomes of orders that stores leave lying, or reject."""

    reservation_timeout_s: Annotated[float | None, Field(gt=0.0, le=YEAR_S, examples=[900.0])] = (
        None
    )
    """An order that no store has accepted after so long gives its stock back. Without it: never."""
    most_attempts: Annotated[int, Field(ge=1, le=MOST_ATTEMPTS)] = 3
    """An order that so many stores have rejected is tried at no further one."""
    cool_down_s: Annotated[float, Field(ge=0.0, le=YEAR_S)] = 1_800.0
    """For so long a store that rejected an order does not get it again."""


class Intake(toml.Section):
    """How orders are taken in that come as their platforms send them."""

    file: Annotated[File | None, Field(examples=["intake.toml"])] = None
    """Rules, goods and mappings, as `fendan intake` takes them. Without it: the built-in ones."""


class Exceptions(toml.Section):
    """Orders that nobody fills: they wait, and are tried again as things change."""

    keep: bool = False
    """Whether they are kept in the queue; with the first IntakeService.Submit they always are."""
    first_wait_s: Annotated[float, Field(ge=0.0, le=YEAR_S)] = 1.0
    """After an attempt an order is not tried again so soon; each time twice as long,"""
    longest_wait_s: Annotated[float, Field(ge=0.0, le=YEAR_S)] = 600.0
    """up to so long, after which it is tried whatever has changed."""
    most_attempts: Annotated[int, Field(ge=1, le=10_000)] = 200
    """After so many attempts it is held for review,"""
    most_age_s: Annotated[float, Field(ge=0.0, le=YEAR_S)] = 172_800.0
    """or so long after it came."""
    most_per_turn: Annotated[int, Field(ge=1, le=10_000)] = 256
    """How many are tried before others have their turn at the engine."""

    @property
    def retry(self) -> RetryPolicy:
        """What the engine is told of them."""
        return RetryPolicy(**self.model_dump(exclude={"keep"}))


class Limits(toml.Section):
    """How much the server accepts before it says no."""

    message_bytes: Annotated[int, Field(ge=KIB, le=MOST_INT)] = 16 * MIB
    """The largest request, in bytes."""
    concurrent_streams: Annotated[int, Field(ge=1, le=MOST_INT)] = 1_000
    """Calls of one connection at a time; further ones wait in the client."""
    queue_requests: Annotated[int, Field(ge=1, le=MOST_INT)] = 20_000
    """Requests that wait for the engine; further ones are refused with RESOURCE_EXHAUSTED."""
    queue_bytes: Annotated[int, Field(ge=KIB, le=MOST_QUEUE_BYTES)] = 256 * MIB
    """The same in bytes, since requests differ a thousandfold."""
    orders_per_request: Annotated[int, Field(ge=1, le=MOST_ORDERS_PER_REQUEST)] = 100_000
    """Orders in one request or stream message."""


class Door(toml.Section):
    """The native door, for the hot methods alone; TLS, tokens and limits are those of all."""

    listen: Annotated[DoorAddress | None, Field(examples=["127.0.0.1:50052"])] = None
    """HOST:PORT, unix:PATH, or a port of the server's own host. Without it: nowhere."""
    connections: Annotated[int, Field(ge=1, le=MOST_INT)] = 10_000
    """How many there may be at a time; further ones are closed at once."""
    header_bytes: Annotated[int, Field(ge=KIB, le=MIB)] = 16 * KIB
    """The headers of one call, in bytes."""
    header_timeout_s: Annotated[float, Field(ge=1.0, le=HOUR_S)] = 10.0
    """Whoever connects has so long to say hello, and for each call's headers."""


class Keepalive(toml.Section):
    """How long the server keeps connections on which nothing comes, in seconds."""

    time_s: Annotated[float, Field(ge=1.0, le=HOUR_S)] = 60.0
    """After so long the server asks whether the client is still there."""
    timeout_s: Annotated[float, Field(ge=1.0, le=HOUR_S)] = 20.0
    """A client that has not answered after so long is disconnected."""
    least_client_interval_s: Annotated[float, Field(ge=0.0, le=HOUR_S)] = 10.0
    """A client that asks more often is disconnected."""
    idle_s: Annotated[float, Field(ge=1.0, le=24 * HOUR_S)] = 600.0
    """A connection without calls is closed after so long; clients open it again by themselves."""


class Metrics(toml.Section):
    """The Prometheus endpoint: counts and durations, for whoever can reach it, without TLS."""

    listen: Annotated[TcpAddress | None, Field(examples=["127.0.0.1:9464"])] = None
    """Where it listens. Without it: nowhere."""


class Log(toml.Section):
    """What is written to standard error."""

    format: Literal["console", "json"] = "console"
    """console for people, json for machines."""
    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least that is written."""
    orders: Literal["none", "unassigned", "all"] = "none"
    """Which orders get a line each."""


class Tracing(toml.Section):
    """OpenTelemetry; needs `pip install 'fendan[tracing]'`."""

    enabled: bool = False
    """Whether spans are sent."""
    endpoint: Annotated[str | None, Field(min_length=1, examples=["http://127.0.0.1:4317"])] = None
    """The OTLP collector. Without it: what the OTEL_ environment variables say."""


class Config(toml.Section):
    """All settings of a server."""

    listen: Address = "127.0.0.1:50051"
    """HOST:PORT or unix:PATH; port 0 takes a free one. Beyond loopback it needs TLS and tokens."""
    insecure_bind: bool = False
    """Listen to others without TLS or tokens, as behind a proxy that has both."""
    tokens: Annotated[File | None, Field(examples=["tokens.toml"])] = None
    """Written by `fendan token new`. Without it everyone who can connect is headquarters."""
    drain_s: Annotated[float, Field(ge=0.0, le=HOUR_S)] = 10.0
    """How long calls may go on after the server was told to stop, in seconds."""
    tls: Tls = Tls()
    data: Data = Data()
    orders: Orders = Orders()
    intake: Intake = Intake()
    exceptions: Exceptions = Exceptions()
    limits: Limits = Limits()
    door: Door = Door()
    keepalive: Keepalive = Keepalive()
    metrics: Metrics = Metrics()
    log: Log = Log()
    tracing: Tracing = Tracing()

    @classmethod
    def load(
        cls, path: Path | None = None, overrides: Mapping[str, object] | None = None
    ) -> "Config":
        """The settings of a file, or the defaults, with those of the command line over them.

        `overrides` are values by key path, ``{"limits.queue_requests": 100}``; None says nothing.
        Paths in the file start from its folder, those in `overrides` (of type Path) from the
        current one. Raises InvalidInputError naming the file, the key path and the value.
        """
        values = {} if path is None else toml.read(path)
        given = {key: value for key, value in (overrides or {}).items() if value is not None}
        for key, value in given.items():
            _put(values, key, value.absolute() if isinstance(value, Path) else value)

        def where(key: str) -> str:
            return path.name if path is not None and key not in given else "command line"

        context = {"folder": Path() if path is None else path.absolute().parent}
        config = toml.validated(cls, values, where=where, context=context)
        _check_together(config, where)
        return config

    @property
    def door_address(self) -> str | None:
        """Where the native door listens, with its host; None: nowhere."""
        listen = self.door.listen
        if listen is None or not PORT.fullmatch(listen):
            return listen
        host, _, _ = self.listen.rpartition(":")
        return f"{host}:{listen}"

    def check_build(self) -> None:
        """Raise InvalidInputError where a door is wanted that was not built."""
        if self.door.listen is not None and find_spec("fendan.engine.door") is None:
            refuse(Fault.MISSING, "door.listen", hint=NO_DOOR)


def _put(values: dict[str, Any], key: str, value: object) -> None:
    *tables, last = key.split(".")
    for table in tables:
        values = values.setdefault(table, {})
        if not isinstance(values, dict):
            return  # not a table in the file, which is refused all the same
    values[last] = value


def _check_together(config: Config, where: Callable[[str], str]) -> None:
    """What no single setting can be wrong about."""

    def say(fault: Fault, key: str, value: object, hint: str) -> NoReturn:
        refuse(fault, key, value, where=where(key), hint=hint)

    tls, limits = config.tls, config.limits
    if tls.certificate is not None and tls.key is None:
        say(Fault.MISSING, "tls.key", None, "a certificate needs its key")
    if tls.key is not None and tls.certificate is None:
        say(Fault.MISSING, "tls.certificate", None, "a key needs its certificate")
    if tls.client_ca is not None and tls.certificate is None:
        say(Fault.MISSING, "tls.certificate", None, "tls.client_ca needs tls.certificate and key")
    if config.data.stock is not None and config.data.stores is None:
        say(Fault.MISSING, "data.stores", None, "data.stock needs the stores that it is in")
    if limits.queue_bytes < limits.message_bytes:
        hint = "the largest message (limits.message_bytes) would never find room"
        say(Fault.OUT_OF_RANGE, "limits.queue_bytes", limits.queue_bytes, hint)
    _check_door(config, say)
    if config.insecure_bind:
        return
    by_name = "or insecure_bind = true (--insecure-bind), to do without"
    for key, address in (("listen", config.listen), ("door.listen", config.door_address)):
        if address is None or _is_loopback(address):
            continue
        if tls.certificate is None:
            hint = f"others could connect and read along: set tls.certificate and key, {by_name}"
            say(Fault.OUT_OF_RANGE, key, address, hint)
        if config.tokens is None and tls.client_ca is None:
            hint = f"whoever connects would be headquarters: set tokens or tls.client_ca, {by_name}"
            say(Fault.OUT_OF_RANGE, key, address, hint)


def _is_loopback(address: str) -> bool:
    """Whether only this machine can connect."""
    match = ADDRESS.fullmatch(address)
    if match is None:
        return True  # a Unix socket
    host = match["host"].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_door(config: Config, say: Callable[[Fault, str, object, str], NoReturn]) -> None:
    """That there is an address for it."""
    listen, address = config.door.listen, config.door_address
    if listen is None or address is None:
        return
    if listen != address and config.listen.startswith(UNIX):
        say(Fault.OUT_OF_RANGE, "door.listen", listen, "the server's own address has no host")
    if address == config.listen and not address.endswith(":0"):
        say(Fault.OUT_OF_RANGE, "door.listen", listen, "it is the server's own address")
