"""Lines for people or machines; of orders only those that were asked for; of tokens nothing."""

import errno
import io
import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import grpc
import numpy as np
import pytest
import structlog

from fendan import Decision, InvalidInputError, Reason, Status
from fendan.server import logs
from fendan.server.logs import Format, Which
from fendan.v1 import inventory_service_pb2, inventory_service_pb2_grpc
from serving import serving

DECISIONS = [
    Decision(
        order_id="O1",
        status=Status.ASSIGNED,
        store_id="S1",
        distance_m=12.5,
        reason=Reason.NONE,
    ),
    Decision(
        order_id="O2",
        status=Status.UNASSIGNED,
        store_id=None,
        distance_m=None,
        reason=Reason.NO_STOCK,
    ),
]


@pytest.fixture(autouse=True)
def usual_logs() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def configured(format: Format = "json", level: str = "info") -> io.StringIO:
    stream = io.StringIO()
    logs.configure(format, level, stream)
    return stream


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


class Answer:
    """As engine.wire.Reply, of decisions that are there already; notes which rows are asked for."""

    def __init__(self, decisions: Sequence[Decision]) -> None:
        self.decisions = decisions
        self.statuses = np.array([decision.status for decision in decisions], dtype=np.uint8)
        self.asked: list[int] = []

    def __len__(self) -> int:
        return len(self.decisions)

    def decision(self, row: int) -> Decision:
        self.asked.append(row)
        return self.decisions[row]


def told(which: Which, *callers: str) -> list[dict[str, Any]]:
    stream = configured()
    logs.routed(which, Answer(DECISIONS), lambda: callers or ["meituan"])
    return lines(stream)


def test_json_is_one_object_a_line_with_the_time_in_utc() -> None:
    stream = configured()
    logs.log.info("started", address="127.0.0.1:50051", name="分单")
    (line,) = lines(stream)
    assert line["event"] == "started"
    assert line["level"] == "info"
    assert line["name"] == "分单"
    assert datetime.fromisoformat(line["timestamp"]).utcoffset() == timedelta(0)


def test_a_terminal_gets_colours_and_a_file_gets_none() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    plain, coloured = io.StringIO(), Terminal()
    for stream in (plain, coloured):
        logs.configure("console", "info", stream)
        logs.log.info("started")
    assert "started" in plain.getvalue()
    assert "\x1b[" not in plain.getvalue()
    assert "\x1b[" in coloured.getvalue()


def test_lines_below_the_level_are_not_written() -> None:
    stream = configured(level="warning")
    logs.log.info("quiet")
    logs.log.warning("loud")
    assert [line["event"] for line in lines(stream)] == ["loud"]


@pytest.mark.parametrize("format", ["console", "json"])
def test_an_exception_comes_with_its_traceback_but_not_with_what_variables_hold(
    format: Format,
) -> None:
    stream = configured(format)
    token = "fendan_" + "secret"
    try:
        raise ValueError(f"broken after {len(token)}")
    except ValueError:
        logs.log.exception("failed")
    assert "ValueError: broken after 13" in stream.getvalue()
    assert "test_logs.py" in stream.getvalue()
    assert "fendan_secret" not in stream.getvalue()


@pytest.mark.parametrize(
    ("format", "level", "field"), [("xml", "info", "log.format"), ("json", "loud", "log.level")]
)
def test_what_no_log_can_be_is_refused(format: Any, level: str, field: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        logs.configure(format, level)
    assert refused.value.field == field


def test_calls_are_told_of_at_debug() -> None:
    stream = configured(level="debug")
    logs.requested("/fendan.v1.OrderService/GetDecision", "NOT_FOUND", 0.00123456789, "jd")
    (line,) = lines(stream)
    assert (line["method"], line["code"]) == ("/fendan.v1.OrderService/GetDecision", "NOT_FOUND")
    assert (line["seconds"], line["caller"]) == (0.001235, "jd")


def test_all_orders_are_told_of_when_asked() -> None:
    assigned, unassigned = told("all")
    assert (assigned["order_id"], assigned["store_id"], assigned["distance_m"]) == (
        "O1",
        "S1",
        12.5,
    )
    assert (unassigned["order_id"], unassigned["reason"]) == ("O2", "NO_STOCK")
    assert assigned["caller"] == unassigned["caller"] == "meituan"


def test_each_order_of_a_request_may_be_another_callers() -> None:
    assert [line["caller"] for line in told("all", "meituan", "jd")] == ["meituan", "jd"]
    assert [line["caller"] for line in told("unassigned", "meituan", "jd")] == ["jd"]


def test_only_orders_without_a_store_are_told_of_when_asked() -> None:
    assert [line["order_id"] for line in told("unassigned")] == ["O2"]


@pytest.mark.parametrize(("which", "asked"), [("none", []), ("unassigned", [1, 3])])
def test_rows_that_are_not_told_of_are_not_looked_at(which: Which, asked: list[int]) -> None:
    configured()
    answer = Answer(DECISIONS * 2)
    logs.routed(which, answer, lambda: ["jd"])
    assert answer.asked == asked


def test_a_token_that_a_caller_sends_is_never_written() -> None:
    with serving() as served, grpc.insecure_channel(served.address) as channel:
        stream = configured(level="debug")
        stub = inventory_service_pb2_grpc.InventoryServiceStub(channel)
        request = inventory_service_pb2.GetStockRequest(store_id="nowhere")
        with pytest.raises(grpc.RpcError):
            stub.GetStock(request, metadata=[("authorization", "Bearer fendan_secret")])
    assert "GetStock" in stream.getvalue()
    assert "secret" not in stream.getvalue()


@pytest.mark.parametrize("format", ["console", "json"])
def test_a_log_that_cannot_be_written_stops_nobody(format: Format) -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    logs.configure(format, "info", Full())
    for say in (logs.log.info, logs.log.warning, logs.log.error):
        say("nobody will read this")
