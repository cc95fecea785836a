"""A load on servers that serve, refuse, are busy, stop and die: all is counted, nothing hangs.

What happens to a server happens when the load says that it is under way, never after some time.
"""

import json
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from built import HAS_DOOR
from fendan import Client, Engine, Order, Store
from fendan.channel import Tls
from fendan.cli import app
from fendan.errors import InvalidInputError, UnavailableError
from fendan.load import progress
from fendan.load.arrivals import Arrivals, Pattern
from fendan.load.messages import Call, Pool, Reserved
from fendan.load.orders import of_server
from fendan.load.run import Load
from fendan.load.sending import Target, Watch
from fendan.server.callers import Scope
from fendan.server.tokens import new_token
from papers import Papers
from serving import Served, by_native_door, serving, until
from siege import Besieged, besieged

compiled = pytest.mark.skipif(not HAS_DOOR, reason="the compiled client needs libnghttp2, too")
# Each way in which orders are sent: the method, orders in a message, the client.
WAYS = [
    pytest.param(Call.UNARY, 1, True, marks=compiled, id="unary-compiled"),
    pytest.param(Call.BATCH, 7, True, marks=compiled, id="batch-compiled"),
    pytest.param(Call.UNARY, 1, False, id="unary-grpcio"),
    pytest.param(Call.BATCH, 7, False, id="batch-grpcio"),
    pytest.param(Call.STREAM, 3, False, id="stream-grpcio"),
]
CLIENTS = [pytest.param(True, marks=compiled, id="compiled"), pytest.param(False, id="grpcio")]


def an_order(sku: str = "tea") -> Order:
    return Order(id="any", lat=31.2, lng=121.4, lines=[(sku, 1)])


def a_load(
    address: str,
    call: Call = Call.UNARY,
    per_message: int = 1,
    is_compiled: bool | None = None,
    *,
    seconds: float = 0.3,
    patience_s: float = 20.0,
    reserved: Reserved = Reserved.RELEASE,
    order: Order | None = None,
    when: Callable[[int], object] | None = None,
) -> Load:
    """`when` is told, while a step goes on, how many of its messages have begun."""

    @contextmanager
    def watched(_rate: float, _messages: int) -> Iterator[Watch]:
        def watch(_latencies_ns: NDArray[np.int64], statuses: NDArray[np.int8]) -> None:
            if when is not None:
                when(len(statuses))

        yield watch

    return Load(
        target=Target(address=address, call=call, connections=2, streams=50, compiled=is_compiled),
        pool=Pool(
            [an_order() if order is None else order],
            per_message=per_message,
            dry_run=reserved is Reserved.DRY_RUN,
        ),
        arrivals=Arrivals(Pattern.EVEN),
        seconds=seconds,
        warm_s=0.0,
        patience_s=patience_s,
        reserved=reserved,
        watched=watched,
    )


def reserved(served: Served) -> int:
    return sum(
        level.reserved for name in served.engine.store_ids for level in served.engine.stock(name)
    )


# -- SERVERS THAT SERVE --------------------------------------------------------------------------


@pytest.mark.usefixtures("each_door")
@pytest.mark.parametrize(("call", "per_message", "is_compiled"), WAYS)
def test_every_order_is_decided_and_what_it_reserved_given_back(
    call: Call, per_message: int, is_compiled: bool
) -> None:
    with serving() as served:
        run = a_load(served.hot_address, call, per_message, is_compiled).at_rates([70.0, 140.0])
        assert reserved(served) == 0
    assert run.failure == ""
    assert [step.errors for step in run.steps] == [{}, {}]
    assert [step.messages for step in run.steps] == [
        round(rate * 0.3 / per_message) for rate in (70.0, 140.0)
    ]
    for step in run.steps:
        assert len(step.latencies) == step.messages
        assert step.decided == step.messages * per_message
        # Of tea, there are 30 pieces.
        assert step.assigned == min(30, step.decided)
        assert step.unassigned == step.decided - step.assigned


@pytest.mark.parametrize(("how", "held"), [(Reserved.KEEP, 21), (Reserved.DRY_RUN, 0)])
def test_reservations_are_kept_where_that_is_asked_for_and_dry_runs_make_none(
    how: Reserved, held: int
) -> None:
    with serving() as served:
        run = a_load(served.hot_address, reserved=how).at_rates([70.0])
        assert reserved(served) == held
    assert run.steps[0].assigned == 21


def test_metrics_that_are_not_there_are_missed_before_anything_is_sent() -> None:
    with serving() as served:
        load = replace(a_load(served.hot_address), metrics=served.address)
        with pytest.raises(UnavailableError, match="--metrics"):
            load.check()
        assert served.engine.order_count == 0


def test_a_step_too_large_for_memory_ends_the_run_and_not_what_was_found() -> None:
    with serving() as served:
        run = a_load(served.hot_address).at_rates([70.0, 1e9])
    assert len(run.steps) == 1
    assert "shorten the steps or the rate" in run.failure


@pytest.mark.parametrize("is_compiled", CLIENTS)
def test_what_was_reserved_before_ctrl_c_is_given_back(is_compiled: bool) -> None:
    def interrupt(begun: int) -> None:
        if begun > 3:
            raise KeyboardInterrupt

    with serving() as served:
        load = a_load(served.hot_address, is_compiled=is_compiled, seconds=30.0, when=interrupt)
        with pytest.raises(KeyboardInterrupt):
            load.at_rates([100.0])
        assert served.engine.order_count > 0
        assert reserved(served) == 0


@pytest.mark.parametrize("is_compiled", CLIENTS)
def test_a_server_with_tls_and_tokens_is_loaded_by_whoever_may(
    tmp_path: Path, is_compiled: bool
) -> None:
    tokens = tmp_path / "tokens.toml"
    token = new_token(tokens, name="load", scope=Scope.INGEST)
    Papers(tmp_path)  # writes them
    settings = {
        "tls__certificate": tmp_path / "server.pem",
        "tls__key": tmp_path / "server.key",
        "tokens": tokens,
    }
    with serving(**settings) as served:
        load = a_load(served.hot_address.replace("127.0.0.1", "localhost"), is_compiled=is_compiled)
        target = replace(load.target, tls=Tls(ca=tmp_path / "ca.pem"), token=token)
        run = replace(load, target=target).at_rates([70.0])
        with pytest.raises(UnavailableError, match="UNAUTHENTICATED"):
            replace(load, target=replace(target, token="wrong")).check()
    assert (run.failure, run.steps[0].errors) == ("", {})


def test_a_load_learns_from_the_server_what_it_can_order() -> None:
    with serving() as served, Client(served.address) as client:
        served.engine.set_stock([("S2", "gone", 0)])
        orders = of_server(client, seed=1)
        assert orders == of_server(client, seed=1)
        served.engine.pause_stores(["S1", "S2", "S3"])
        with pytest.raises(InvalidInputError, match="anything to sell"):
            of_server(client, seed=1)
    wanted = {sku for order in orders for sku, _quantity in order.lines}
    assert wanted == {"tea", "milk"}
    assert {len(order.lines) for order in orders} == {1, 2}
    stores = Engine()
    stores.add_stores([Store(id="S", lat=31.2, lng=121.41)])
    stores.set_stock([("S", "tea", 10), ("S", "milk", 10)])
    far_m = [stores.route(order, dry_run=True).distance_m for order in orders[:100]]
    assert all(metres is not None and metres < 20_000 for metres in far_m)


# -- SERVERS THAT DO NOT -------------------------------------------------------------------------


@pytest.mark.parametrize(("call", "per_message", "is_compiled"), WAYS)
def test_a_server_that_refuses_the_orders_is_not_loaded_at_all(
    call: Call, per_message: int, is_compiled: bool
) -> None:
    with serving() as served:
        load = a_load(served.hot_address, call, per_message, is_compiled, order=an_order("salt"))
        with pytest.raises(UnavailableError, match=r"NOT_FOUND: .*salt"):
            load.check()


@pytest.mark.parametrize("is_compiled", CLIENTS)
def test_where_nobody_listens_the_load_says_so(is_compiled: bool) -> None:
    with serving() as served:
        address = served.hot_address
    load = a_load(address, is_compiled=is_compiled, patience_s=0.3)
    with pytest.raises(UnavailableError, match=re.escape(address)):
        load.check()


@contextmanager
def a_process(folder: Path) -> Iterator[Besieged]:
    """A server that can be stopped and killed; with both doors, where they are built."""
    with ExitStack() as processes:
        with by_native_door() if HAS_DOOR else nullcontext():
            started = processes.enter_context(besieged(folder))
        yield started


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Besieged]:
    """One for all who leave it alive."""
    with a_process(tmp_path_factory.mktemp("served")) as started:
        yield started


def amid(messages: int, do: Callable[[], object]) -> Callable[[int], None]:
    """Do it once, while some of so many messages of a step have begun and others have not.

    A step in which the busy machine misses that moment is followed by others.
    """
    is_done = False

    def when(begun: int) -> None:
        nonlocal is_done
        if not is_done and 0 < begun < messages:
            is_done = True
            do()

    return when


def test_streams_to_a_server_that_dies_end_and_what_was_not_answered_is_counted(
    tmp_path: Path,
) -> None:
    with a_process(tmp_path) as server:
        kill = amid(100, server.process.kill)
        load = a_load(server.hot_address, Call.STREAM, seconds=1.0, patience_s=1.0, when=kill)
        run = load.at_rates([100.0] * 20)
    step = run.steps[-1]
    assert run.failure
    assert step.error_count > 0
    assert len(step.latencies) + step.error_count == step.messages == 100


@pytest.mark.parametrize(("call", "per_message", "is_compiled"), WAYS)
def test_a_server_that_stops_for_good_is_given_up(
    server: Besieged, call: Call, per_message: int, is_compiled: bool
) -> None:
    stop = amid(40, lambda: stopped(server))
    load = a_load(
        server.hot_address, call, per_message, is_compiled, seconds=0.4, patience_s=0.4, when=stop
    )
    try:
        run = load.at_rates([100.0 * per_message] * 20)
    finally:
        server.process.send_signal(signal.SIGCONT)
    step = run.steps[-1]
    assert run.failure
    assert step.errors["UNANSWERED"] > 0
    assert len(step.latencies) + step.error_count == step.messages == 40


def stopped(server: Besieged) -> None:
    """Stop it as Ctrl-Z does, and wait until it stands."""
    server.process.send_signal(signal.SIGSTOP)
    status = Path(f"/proc/{server.process.pid}/status")
    until(lambda: "State:\tT" in status.read_text())


@pytest.mark.parametrize("is_compiled", CLIENTS)
def test_a_stall_is_in_the_latency_of_all_that_was_due_meanwhile(
    server: Besieged, is_compiled: bool
) -> None:
    stood: list[int] = []  # how many had begun when it was stopped, and when it went on

    def stall(begun: int) -> None:
        if not stood and 0 < begun < 250:
            stood.append(begun)
            stopped(server)
        elif len(stood) == 1 and begun > stood[0] + 30:
            stood.append(begun)
            server.process.send_signal(signal.SIGCONT)

    load = a_load(server.hot_address, is_compiled=is_compiled, seconds=1.5, when=stall)
    while len(stood) < 2:
        messages, came, step = load._sent(200.0, 0)
        load._give_back(messages, came)
    assert step.errors == {}
    due_ns = load.arrivals.due_ns(len(messages), 1.5)
    meanwhile = slice(*stood)
    # It was answered after the last of them was due.
    assert np.all(came.latencies_ns[meanwhile] >= due_ns[stood[1] - 1] - due_ns[meanwhile])


@pytest.mark.parametrize("is_compiled", CLIENTS)
def test_what_a_busy_server_refuses_is_an_error_and_no_latency(is_compiled: bool) -> None:
    with serving(limits__queue_requests=1) as served:
        load = replace(a_load(served.hot_address, is_compiled=is_compiled), arrivals=at_once())
        run = load.at_rates([1000.0] * 5)
    assert len(run.steps) == 5
    for step in run.steps:
        assert len(step.latencies) + step.error_count == step.messages
        assert set(step.errors) == set(step.said) <= {"RESOURCE_EXHAUSTED"}
    assert any(step.errors for step in run.steps)


def at_once() -> Arrivals:
    """All but the last are due in the first moment."""
    return Arrivals(Pattern.REPLAY, instants=np.array([0.0] * 999 + [1.0]))


# -- THE COMMAND ---------------------------------------------------------------------------------


def command(*words: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["load", *map(str, words)])
    return result.exit_code, result.stdout, result.stderr


USUAL = ("--seconds", 0.3, "--warm-up", 0.1, "--connections", 2)


def test_the_command_prints_a_table_and_writes_the_report(server: Besieged, tmp_path: Path) -> None:
    out, html = tmp_path / "report.json", tmp_path / "report.html"
    where = ("--target", server.hot_address, "--setup", server.address)
    metrics = ("--metrics", f"127.0.0.1:{server._metrics_port}")
    rates = ("--rate", 40, "--rate", 80)
    before = server.reserved()
    status, printed, said = command(*where, *metrics, *USUAL, *rates, "--out", out, "--html", html)
    assert (status, said) == (0, "Every message was answered with decisions.\n")
    written = json.loads(out.read_text(encoding="utf-8"))
    assert [step["offered_per_s"] for step in written["steps"]] == [40.0, 80.0]
    assert {"queue", "search", "sync"} <= written["steps"][1]["stages"].keys()
    assert written["asked"]["orders"] == "learned from the server"
    assert "80" in printed
    assert "Where the server spent it" in html.read_text(encoding="utf-8")
    assert server.reserved() == before


def test_the_command_finds_a_knee(server: Besieged, tmp_path: Path) -> None:
    out = tmp_path / "report.json"
    where = ("--target", server.hot_address, "--setup", server.address)
    # So soon that no server can: the search goes down to one order a second, and ends.
    search = ("--find-knee", "--rate", 8, "--p99-ms", 0.001)
    status, _, said = command(*where, *USUAL, *search, "--out", out)
    assert (status, said.split(" that")[0]) == (1, "No rate")
    tried = [step["offered_per_s"] for step in json.loads(out.read_text())["steps"]]
    assert tried == [8.0, 8.0, 4.0, 4.0, 2.0, 2.0, 1.0, 1.0]


def test_the_command_fails_where_the_server_dies_and_says_how_far_it_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "report.json"
    with a_process(tmp_path) as server:
        kill = amid(110, server.process.kill)
        watched = a_load(server.hot_address, when=kill).watched
        monkeypatch.setattr(progress, "watched", lambda: nullcontext(watched))
        where = ("--target", server.hot_address, "--setup", server.address, "--patience-s", 1)
        rates = ["--rate", 100] * 20
        status, _, said = command(*where, *USUAL, "--seconds", 1, *rates, "--out", out)
    assert status == 1
    assert "It ended early: " in said
    written = json.loads(out.read_text())
    assert written["failure"]
    last = written["steps"][-1]
    assert last["errors"]
    assert last["latencies"]["count"] + sum(last["errors"].values()) <= 110


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--workload", "demo", "--orders", "o.csv"], "--workload"),
        (["--per-message", 5], "--per-message"),
        (["--arrivals", "replay"], "--replay"),
        (["--find-knee", "--rate", 1, "--rate", 2], "--rate"),
        (["--rate", 0], "--rate"),
        (["--workload", "metros"], "--workload"),
        (["--orders", "absent.csv"], "no such file"),
        (["--target", ""], "target"),
        (["--token", "secret", "--target", "example.com:1"], "tls"),
        (["--out", "report.html"], ".json"),
    ],
)
def test_what_does_not_go_together_is_refused_before_anything_is_sent(
    words: list[object], said: str
) -> None:
    status, printed, errors = command(*words)
    assert (status, printed) == (2, "")
    assert said in errors
    assert "secret" not in errors
    assert len(errors.splitlines()) == 1
