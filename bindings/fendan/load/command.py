"""`fendan load`: the command.

The client's libraries are imported where they are needed: the command line works without them.
"""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fendan.engine.geo import Datum
from fendan.errors import Fault, refuse
from fendan.load.arrivals import Arrivals, Pattern, read_instants
from fendan.load.messages import Call, Pool, Reserved
from fendan.report import show
from fendan.terminal import new_file, plain_errors, say

if TYPE_CHECKING:
    from fendan.channel import Tls
    from fendan.load.report import Report
    from fendan.load.run import Run
    from fendan.load.sending import Target
    from fendan.model import Order

__all__ = ["load"]

FAILED = 1
USUAL_PER_S = 1_000.0
USUAL_PER_MESSAGE = {Call.UNARY: 1, Call.BATCH: 100, Call.STREAM: 1}
USUAL_STREAMS = {Call.UNARY: 1_000, Call.BATCH: 100, Call.STREAM: 1}
LONGEST_S = 86_400.0
LOCALHOST = "127.0.0.1:50051"


def _says(help: str, *names: str, **more: Any) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(*names, help=help, **more)
    return option


Address = Annotated[str, _says("HOST:PORT of the server; of either door.", "--target")]
Workload = Annotated[str | None, _says("Orders of a named workload: demo, metro, ….")]
OrdersFile = Annotated[
    Path | None, _says("Orders of a .csv, .csv.gz or .parquet file.", "--orders")
]
Setup = Annotated[
    str | None,
    _says("Else, HOST:PORT to ask for stores and stock, if the target is a native door."),
]
Rates = Annotated[
    list[float] | None, _says("Orders a second; several for a curve. Usually 1,000.", "--rate")
]
Seconds = Annotated[float, _says("How long each rate lasts.", min=0.1, max=LONGEST_S)]
WarmUp = Annotated[float, _says("Before that; not counted.", "--warm-up", min=0.0, max=LONGEST_S)]
How = Annotated[Call, _says("The method.", "--call", case_sensitive=False)]
PerMessage = Annotated[
    int | None, _says("Orders in a message: 100 in a batch, else 1.", min=1, max=100_000)
]
When = Annotated[Pattern, _says("When they are due.", "--arrivals", case_sensitive=False)]
Replay = Annotated[Path | None, _says("A file of instants, whose span is compressed into a step.")]
ReplayColumn = Annotated[str | None, _says("Its column, if there are several.")]
FindKnee = Annotated[
    bool, _says("Search for the highest rate with p99 within a bound.", "--find-knee")
]
Bound = Annotated[float, _says("That bound, in milliseconds.", "--p99-ms", min=0.001)]
Connections = Annotated[int, _says("How many.", min=1, max=20_000)]
Streams = Annotated[
    int | None, _says("Calls at a time on each: 1,000; batches 100, streams 1.", min=1, max=100_000)
]
Grpcio = Annotated[bool, _says("By grpcio's client, not the compiled one.", "--grpcio")]
WithTls = Annotated[bool, _says("TLS, trusting the usual authorities.", "--tls")]
Ca = Annotated[Path | None, _says("TLS, trusting this one; PEM.")]
Certificate = Annotated[Path | None, _says("Of this client, for mutual TLS; PEM.")]
Key = Annotated[Path | None, _says("Of that certificate; PEM.")]
Token = Annotated[
    str | None, _says("A bearer token; better in the variable.", envvar="FENDAN_TOKEN")
]
OfStock = Annotated[
    Reserved,
    _says(
        "What orders reserve is released after each step, or kept; or they are dry runs.",
        "--reserved",
        case_sensitive=False,
    ),
]
Metrics = Annotated[str | None, _says("HOST:PORT of the server's metrics, for its time by stage.")]
Patience = Annotated[
    float, _says("How long to wait for answers after the last was due.", min=0.1, max=LONGEST_S)
]
Seed = Annotated[int, _says("Same seed, same orders at the same instants.", min=0)]
Encoding = Annotated[str, _says("Of CSV files, such as gbk.")]
Grid = Annotated[Datum | None, _says("The grid of the file's places.", case_sensitive=False)]
Out = Annotated[Path | None, _says("The report as a .json file.")]
Html = Annotated[Path | None, _says("The report as an .html page with pictures.")]


def load(
    *,
    target: Address = LOCALHOST,
    workload: Workload = None,
    orders: OrdersFile = None,
    setup: Setup = None,
    rate: Rates = None,
    seconds: Seconds = 10.0,
    warm_up: WarmUp = 2.0,
    call: How = Call.UNARY,
    per_message: PerMessage = None,
    arrivals: When = Pattern.POISSON,
    replay: Replay = None,
    replay_column: ReplayColumn = None,
    find_knee: FindKnee = False,
    p99_ms: Bound = 50.0,
    connections: Connections = 8,
    streams: Streams = None,
    grpcio: Grpcio = False,
    tls: WithTls = False,
    tls_ca: Ca = None,
    tls_certificate: Certificate = None,
    tls_key: Key = None,
    token: Token = None,
    reserved: OfStock = Reserved.RELEASE,
    metrics: Metrics = None,
    patience_s: Patience = 10.0,
    seed: Seed = 1,
    encoding: Encoding = "utf-8",
    datum: Grid = None,
    out: Out = None,
    html: Html = None,
) -> None:
    """Send orders to a running server at fixed instants, and tell how long each waited.

    Without --workload or --orders it asks the server for its stores and stock, and orders what they
    sell. Exit status 1: not all was answered, or there is no knee; 2: it could not begin.
    """
    asked = _Asked(**locals())
    with plain_errors(), ExitStack() as files:
        json_file = out and files.enter_context(new_file(out, (".json",)))
        html_file = html and files.enter_context(new_file(html, (".html",)))
        report = asked.report()
        _print(report)
        if json_file:
            json_file.write_text(report.as_json() + "\n", encoding="utf-8")
        if html_file:
            from fendan.load.page import page

            html_file.write_text(page(report), encoding="utf-8")
    say(report.verdict(), style="green" if report.is_good else "red")
    if not report.is_good:
        raise typer.Exit(FAILED)


def _print(report: "Report") -> None:
    show(report.table())
    for line in report.warnings():
        say(line, style="yellow")


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """The command line, and what it comes to."""

    target: str
    workload: str | None
    orders: Path | None
    setup: str | None
    rate: list[float] | None
    seconds: float
    warm_up: float
    call: Call
    per_message: int | None
    arrivals: Pattern
    replay: Path | None
    replay_column: str | None
    find_knee: bool
    p99_ms: float
    connections: int
    streams: int | None
    grpcio: bool
    tls: bool
    tls_ca: Path | None
    tls_certificate: Path | None
    tls_key: Path | None
    token: str | None
    reserved: Reserved
    metrics: str | None
    patience_s: float
    seed: int
    encoding: str
    datum: Datum | None
    out: Path | None
    html: Path | None

    def report(self) -> "Report":
        """Do it all. Raises a FendanError where it cannot begin."""
        self._check()
        try:
            from fendan.load import latencies, progress, report, run
        except ImportError as missing:
            refuse(Fault.MISSING, "package", missing.name or "grpc", hint=str(missing))
        latencies.Latencies()  # refuses, where its library is not installed, before the work
        from fendan.load.orders import how_to_serve

        target, began = self._target(), report.now()
        pool = self._pool(target)
        with progress.watched() as watched:
            loading = run.Load(
                target=target,
                pool=pool,
                arrivals=self._arrivals(),
                seconds=self.seconds,
                warm_s=self.warm_up,
                patience_s=self.patience_s,
                reserved=self.reserved,
                metrics=self.metrics,
                how_to_serve="" if self.workload is None else how_to_serve(self.workload),
                watched=watched,
            )
            found = self._run(loading)
        return report.Report(
            asked=self._words(target),
            loader=report.loader(),
            began=began,
            run=found,
            p99_ms=self.p99_ms if self.find_knee else None,
        )

    def _check(self) -> None:
        """Refuse what does not go together."""
        if self.workload is not None and self.orders is not None:
            refuse(Fault.RAGGED, "--workload", self.workload, hint="give it, or --orders")
        if self.call is Call.UNARY and self.per_message not in (None, 1):
            hint = "a unary message has one order; add --call batch"
            refuse(Fault.OUT_OF_RANGE, "--per-message", self.per_message, hint=hint)
        if (self.arrivals is Pattern.REPLAY) is (self.replay is None):
            refuse(Fault.MISSING, "--replay", hint="--arrivals replay and --replay go together")
        if self.find_knee and len(self.rate or ()) > 1:
            refuse(Fault.RAGGED, "--rate", self.rate, hint="a search begins with one")
        for rate in self.rate or ():
            if not 0.0 < rate < 1e9:
                refuse(Fault.OUT_OF_RANGE, "--rate", rate, hint="must be orders a second")

    @property
    def _per_message(self) -> int:
        return self.per_message or USUAL_PER_MESSAGE[self.call]

    def _target(self) -> "Target":
        """Where to. Raises InvalidInputError."""
        from fendan.load.sending import Target

        target = Target(
            address=self.target,
            call=self.call,
            connections=self.connections,
            streams=self.streams or USUAL_STREAMS[self.call],
            compiled=not self.grpcio and self.call is not Call.STREAM and _is_compiled(),
            token=self.token,
            tls=self._tls(),
        )
        target.checked()
        return target

    def _tls(self) -> "Tls | None":
        from fendan.channel import Tls

        if not (self.tls or self.tls_ca or self.tls_certificate or self.tls_key):
            return None
        return Tls(ca=self.tls_ca, certificate=self.tls_certificate, key=self.tls_key)

    def _pool(self, target: "Target") -> Pool:
        """The orders, as bytes."""
        return Pool(
            self._orders(target),
            per_message=self._per_message,
            dry_run=self.reserved is Reserved.DRY_RUN,
        )

    def _orders(self, target: "Target") -> "list[Order]":
        from fendan.client import Client
        from fendan.load import orders

        if self.orders is not None:
            return orders.of_file(self.orders, encoding=self.encoding, datum=self.datum)
        if self.workload is not None:
            return orders.of_workload(self.workload, self.seed)
        setup = self.setup or self.target
        with Client(setup, token=target.token, tls=target.tls, timeout_s=self.patience_s) as client:
            return orders.of_server(client, self.seed)

    def _arrivals(self) -> Arrivals:
        instants = None if self.replay is None else read_instants(self.replay, self.replay_column)
        return Arrivals(self.arrivals, self.seed, instants)

    def _run(self, loading: Any) -> "Run":
        rates = self.rate or [USUAL_PER_S]
        loading.check()
        found: Run = (
            loading.to_the_knee(rates[0], self.p99_ms)
            if self.find_knee
            else loading.at_rates(rates)
        )
        return found

    def _words(self, target: "Target") -> dict[str, str]:
        """What was asked for, without what is secret."""
        client = "compiled" if target.compiled else "grpcio"
        source = self.workload or (self.orders and self.orders.name) or "learned from the server"
        replayed = "" if self.replay is None else f" of {self.replay.name}"
        return {
            "target": f"{self.target}{'' if target.tls is None else ' over TLS'}",
            "call": f"{self.call}, {self._per_message:,} orders a message",
            "client": f"{client}, {target.connections:,} connections of {target.streams:,} streams",
            "orders": source,
            "arrivals": f"{self.arrivals}{replayed}",
            "each rate": f"{self.seconds:g} s after {self.warm_up:g} s of warm-up",
            "reservations": str(self.reserved),
            "seed": str(self.seed),
        }


def _is_compiled() -> bool:
    """Whether the compiled client was built: it needs libnghttp2."""
    try:
        from fendan.engine import traffic  # noqa: F401
    except ImportError:
        return False
    return True
