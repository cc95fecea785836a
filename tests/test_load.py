"""What a load sends and when, and what it makes of the answers; no server is needed for that."""

import json
import math
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pyarrow import parquet

from fendan import Order
from fendan.engine import wire
from fendan.errors import FendanError, FileFormatError, InvalidInputError
from fendan.load import chart, orders
from fendan.load.arrivals import Arrivals, Pattern, read_instants
from fendan.load.chart import Axis
from fendan.load.knee import PRECISION, find_knee, keeps_up
from fendan.load.latencies import Latencies
from fendan.load.messages import Messages, Pool
from fendan.load.orders import of_file, of_workload
from fendan.load.page import page
from fendan.load.report import Report, loader
from fendan.load.run import Run
from fendan.load.sending import UNANSWERED, UNSENT, Came
from fendan.load.stages import Stages
from fendan.load.step import Step
from fendan.v1.routing_service_pb2 import BatchRouteRequest

BUSY = 8  # RESOURCE_EXHAUSTED
S = 1_000_000_000
MS = 1_000_000


# -- WHEN ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("pattern", [Pattern.EVEN, Pattern.POISSON])
def test_as_many_are_due_as_asked_for_in_order_and_in_time(pattern: Pattern) -> None:
    due_ns = Arrivals(pattern).due_ns(1000, 2.0)
    assert len(due_ns) == 1000
    assert np.all(np.diff(due_ns) >= 0)
    assert 0 <= due_ns[0] <= due_ns[-1] <= 2 * S


def test_even_arrivals_keep_their_distance_and_random_ones_crowd() -> None:
    even = np.diff(Arrivals(Pattern.EVEN).due_ns(10_000, 1.0))
    random = np.diff(Arrivals(Pattern.POISSON).due_ns(10_000, 1.0))
    assert even.min() == even.max() == 100_000
    # The gaps of a Poisson process scatter as much as they are long.
    assert random.std() == pytest.approx(random.mean(), rel=0.05)


def test_the_same_seed_makes_the_same_arrivals_and_each_turn_others() -> None:
    first = Arrivals(seed=7).due_ns(100, 1.0)
    assert np.array_equal(first, Arrivals(seed=7).due_ns(100, 1.0))
    assert not np.array_equal(first, Arrivals(seed=7).due_ns(100, 1.0, turn=1))
    assert not np.array_equal(first, Arrivals(seed=8).due_ns(100, 1.0))


def replayed(instants: Sequence[float], count: int) -> list[int]:
    arrivals = Arrivals(Pattern.REPLAY, instants=np.array(instants, dtype=float))
    return arrivals.due_ns(count, 4.0).tolist()


def test_a_file_is_replayed_with_its_span_compressed_into_the_step() -> None:
    assert replayed([50.0, 51.0, 51.0, 58.0], 4) == [0, S // 2, S // 2, 4 * S]


def test_fewer_messages_leave_some_of_a_file_out_and_more_come_between() -> None:
    assert replayed([0.0, 1.0, 2.0, 3.0, 4.0], 3) == [0, 2 * S, 4 * S]
    assert replayed([0.0, 4.0], 5) == [0, S, 2 * S, 3 * S, 4 * S]


def test_instants_are_read_as_numbers_or_times_from_csv_and_parquet(tmp_path: Path) -> None:
    numbers, times, table = (tmp_path / name for name in ("n.csv", "t.csv", "t.parquet"))
    numbers.write_text("minute\n743\n541\n543\n")
    times.write_text("id,at\n1,2026-11-11T00:00:02+08:00\n2,2026-11-11T00:00:00+08:00\n")
    begin = datetime(2026, 11, 11, tzinfo=UTC)
    parquet.write_table(pa.table({"at": [begin, begin + timedelta(hours=1)]}), table)
    assert read_instants(numbers).tolist() == [541, 543, 743]
    assert np.diff(read_instants(times, "at")).tolist() == [2.0]
    assert len(read_instants(table)) == 2


def test_a_file_of_no_instants_is_refused_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "bad.csv"
    file.write_text("at,who\n1,x\nsoon,y\n")
    with pytest.raises(InvalidInputError, match=r"bad\.csv, line 3"):
        read_instants(file, "at")
    with pytest.raises(FileFormatError, match="name one of its columns: at, who"):
        read_instants(file)
    file.write_text("at\n5\n5\n")
    with pytest.raises(InvalidInputError, match="two different instants"):
        read_instants(file)


# -- WHAT ---------------------------------------------------------------------------------------


def an_order(number: int, lines: int = 1) -> Order:
    skus = [(f"sku-{number}-{line}", line + 1) for line in range(lines)]
    return Order(id="any", lat=31.0, lng=121.0 + number / 10, lines=skus, channel="app")


def read(messages: Messages) -> list[BatchRouteRequest]:
    return [
        BatchRouteRequest.FromString(messages.data[begin:end])
        for begin, end in pairwise(messages.offsets.tolist())
    ]


@settings(max_examples=50, deadline=None)
@given(
    orders=st.integers(1, 7),
    per_message=st.integers(1, 9),
    sendings=st.lists(st.integers(0, 30), max_size=3),
    dry_run=st.booleans(),
)
def test_each_order_is_sent_as_it_is_again_and_again_but_never_with_the_same_id(
    orders: int, per_message: int, sendings: list[int], dry_run: bool
) -> None:
    made = [an_order(number, 1 + number % 3) for number in range(orders)]
    pool = Pool(made, per_message=per_message, dry_run=dry_run)
    ids: list[str] = []
    for count in sendings:
        messages = pool.take(count)
        found = read(messages)
        assert len(found) == len(messages) == count
        for number, message in enumerate(found):
            assert message.dry_run == dry_run
            assert [order.id for order in message.orders] == messages.ids(number)
            ids += messages.ids(number)
            for order in message.orders:
                order.id = "any"
                assert wire.write_request([made[round((order.lng - 121.0) * 10)]]) == (
                    BatchRouteRequest(orders=[order]).SerializeToString()
                )
    assert len(set(ids)) == len(ids) == sum(sendings) * per_message


def test_two_loads_at_once_send_no_order_twice() -> None:
    pools = [Pool([an_order(0)]) for _ in range(2)]
    first, second = (set(pool.take(5).ids(0)) for pool in pools)
    assert first.isdisjoint(second)


def test_what_would_not_fit_into_memory_is_refused_before_it_is_made() -> None:
    pool = Pool([an_order(0)])
    with pytest.raises(FendanError, match="shorten the steps or the rate"):
        pool.take(10**9)
    with pytest.raises(InvalidInputError, match="nothing to send"):
        Pool([])


def test_orders_come_from_a_file_or_a_workload_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "orders.csv"
    file.write_text("order_id,lat,lng,sku,quantity\nA,31,121,tea,1\nA,31,121,milk,2\n")
    (order,) = of_file(file, encoding="utf-8", datum=None)
    assert order.lines == [("tea", 1), ("milk", 2)]
    monkeypatch.setattr(orders, "MOST_ORDERS", 50)
    demo = of_workload("demo", seed=3)
    assert len(demo) == 50
    assert demo == of_workload("demo", seed=3)
    with pytest.raises(InvalidInputError, match="did you mean demo"):
        of_workload("demos", seed=3)


# -- WHAT BECAME OF IT --------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 3_600 * S), min_size=1, max_size=50))
def test_a_percentile_is_that_of_the_waits_to_three_digits(waits_ns: list[int]) -> None:
    latencies = Latencies.of(np.array(waits_ns, dtype=np.int64))
    assert len(latencies) == len(waits_ns)
    for percentile in (50.0, 99.0, 100.0):
        exact = np.percentile(waits_ns, percentile, method="inverted_cdf") / 1e6
        assert latencies.percentile_ms(percentile) == pytest.approx(exact, rel=2e-3, abs=2e-3)
    again = Latencies.decoded(latencies.encoded())
    assert again.percentile_ms(90.0) == latencies.percentile_ms(90.0)


def test_without_its_library_a_load_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hdrh", None)
    with pytest.raises(InvalidInputError, match=r"pip install 'fendan\[load\]'"):
        Latencies()


def test_of_no_answers_every_percentile_is_zero() -> None:
    none = Latencies.of(np.zeros(0, dtype=np.int64))
    assert (len(none), none.percentile_ms(99.0), none.most_ms) == (0, 0.0, 0.0)


def came(latencies_ms: Sequence[float], statuses: Sequence[int], answers: bytes = b"") -> Came:
    return Came(
        latencies_ns=(np.array(latencies_ms) * MS).astype(np.int64),
        statuses=np.array(statuses, dtype=np.int8),
        said={status: "in words" for status in statuses if status > 0},
        lost=0,
        answers=answers,
    )


def a_step(what: Came, due_ms: Sequence[int], warm_s: float = 0.0, rate: float = 2.0) -> Step:
    due_ns: NDArray[np.int64] = np.array(due_ms, dtype=np.int64) * MS
    return Step.of(
        what, due_ns, offered_per_s=rate, warm_s=warm_s, seconds=2.0, per_message=1, load_cores=0.5
    )


def test_what_was_due_in_the_warm_up_is_in_no_latency_but_its_errors_are_told() -> None:
    what = came([900, -1, 5, 7], [0, UNANSWERED, 0, 0])
    step = a_step(what, [0, 500, 1000, 3000], warm_s=1.0)
    assert (step.messages, len(step.latencies)) == (2, 2)
    assert step.latencies.most_ms == pytest.approx(7, rel=1e-3)
    assert step.errors == {"UNANSWERED": 1}
    assert [second.due for second in step.timeline] == [1, 1]


def test_errors_are_counted_by_their_names_and_have_no_latency() -> None:
    what = came([3, 400, -1, -1], [0, BUSY, UNANSWERED, UNSENT])
    step = a_step(what, [0, 100, 200, 1100])
    assert step.errors == {"UNSENT": 1, "UNANSWERED": 1, "RESOURCE_EXHAUSTED": 1}
    assert step.said == {"RESOURCE_EXHAUSTED": "in words"}
    assert step.error_count == 3
    assert len(step.latencies) == 1
    assert [second.errors for second in step.timeline] == [2, 1]
    assert step.timeline[1].most_ms == 0.0


def test_a_server_that_lags_has_answered_fewer_a_second_than_were_offered() -> None:
    assert a_step(came([10, 10], [0, 0]), [0, 1000]).answered_per_s == 1.0
    assert a_step(came([10, 9_000], [0, 0]), [0, 1000]).answered_per_s == 0.2


def test_time_by_stage_is_what_was_added_between_two_looks() -> None:
    before = Stages.of(
        'fendan_stage_seconds_count{stage="search"} 10.0\n'
        'fendan_stage_seconds_sum{stage="search"} 1.0\n'
    )
    after = Stages.of(
        'fendan_stage_seconds_bucket{le="0.1",stage="search"} 7.0\n'
        'fendan_stage_seconds_count{stage="search"} 30.0\n'
        'fendan_stage_seconds_sum{stage="search"} 1.5\n'
        "fendan_sync_seconds_count 4.0\nfendan_sync_seconds_sum 0.002\n"
    )
    found = after.since(before)
    assert found == {"search": (20, pytest.approx(25.0)), "sync": (4, pytest.approx(0.5))}
    assert after.since(after) == {}


# -- THE KNEE -----------------------------------------------------------------------------------


class Queue:
    """A server by the book: waits of M/M/1, and no end of them at its capacity and beyond."""

    def __init__(self, capacity_per_s: float) -> None:
        self.capacity_per_s = capacity_per_s
        self.tried: list[float] = []

    def p99_ms(self, rate_per_s: float) -> float:
        spare = self.capacity_per_s - rate_per_s
        return 1e3 * math.log(100) / spare if spare > 0 else 60_000.0

    def __call__(self, rate_per_s: float) -> Step:
        self.tried.append(rate_per_s)
        return a_step(came([self.p99_ms(rate_per_s)], [0]), [0], rate=rate_per_s)


@settings(max_examples=30, deadline=None)
@given(capacity=st.floats(1e3, 1e6), start=st.floats(10.0, 1e6))
def test_the_knee_is_the_highest_rate_within_the_bound_however_the_search_begins(
    capacity: float, start: float
) -> None:
    server = Queue(capacity)
    knee = find_knee(server, start, p99_ms=50.0)
    exact = capacity - 1e3 * math.log(100) / 50.0
    assert knee is not None
    assert exact / PRECISION * 0.99 <= knee <= exact * 1.01
    assert len(set(server.tried)) <= 25


def test_a_rate_at_which_anything_is_lost_is_beyond_the_knee() -> None:
    assert keeps_up(a_step(came([5, 5], [0, 0]), [0, 1]), p99_ms=50.0)
    assert not keeps_up(a_step(came([5, 60], [0, 0]), [0, 1]), p99_ms=50.0)
    assert not keeps_up(a_step(came([5, -1], [0, UNANSWERED]), [0, 1]), p99_ms=50.0)


def test_a_hiccup_is_no_knee() -> None:
    server = Queue(2000.0)
    tried: set[float] = set()

    def hiccups_first(rate_per_s: float) -> Step:
        if rate_per_s in tried:
            return server(rate_per_s)
        tried.add(rate_per_s)
        return a_step(came([900], [0]), [0], rate=rate_per_s)

    assert find_knee(hiccups_first, 100.0, p99_ms=50.0) == find_knee(server, 100.0, p99_ms=50.0)


def test_a_server_that_is_too_slow_for_one_order_a_second_has_no_knee() -> None:
    assert find_knee(Queue(0.5), 100.0, p99_ms=50.0) is None


def test_a_search_ends_where_the_server_does() -> None:
    steps = [Queue(1e6)(100.0), None]
    assert find_knee(lambda _: steps.pop(0), 100.0, p99_ms=50.0) is None


# -- THE PAGE -----------------------------------------------------------------------------------


class Page(HTMLParser):
    """What a browser would fetch or run, and the tags that are left open."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta",):
            self.open.append(tag)
        names = [name for name, _ in attrs]
        if tag in ("script", "link", "img", "iframe") or "src" in names or "href" in names:
            self.fetched.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def a_report(steps: list[Step], **more: object) -> Report:
    run = Run(steps=steps, failure=str(more.pop("failure", "")))
    asked = {"target": "<b>nowhere</b>"}
    return Report(asked=asked, loader=loader(), began="today", run=run)


def some_steps(count: int) -> list[Step]:
    due_ms = list(range(0, 2000, 10))
    stages = Stages.of("fendan_sync_seconds_count 4.0\nfendan_sync_seconds_sum 0.002\n")
    made = []
    for number in range(count):
        statuses = [BUSY if number == 2 and at % 7 == 0 else 0 for at in range(200)]
        waits = [1 + number + at % 50 for at in range(200)]
        due_ns = np.array(due_ms, dtype=np.int64) * MS
        step = Step.of(
            came(waits, statuses),
            due_ns,
            offered_per_s=100.0 * 3**number,
            warm_s=0.0,
            seconds=2.0,
            per_message=1,
            stages=stages.since(Stages.of("")),
        )
        made.append(step)
    return made


@pytest.mark.parametrize("count", [0, 1, 2, 9])
def test_the_page_is_whole_fetches_nothing_and_its_pictures_are_svg(count: int) -> None:
    text = page(a_report(some_steps(count), failure="<script>alert(1)</script>"))
    found = Page(text)
    assert (found.fetched, found.open) == ([], [])
    assert "&lt;b&gt;nowhere&lt;/b&gt;" in text
    pictures = text.split("<svg")[1:]
    # Of one step no curve; of each, its seconds in two pictures.
    assert len(pictures) == 2 * count + {0: 0, 1: 2}.get(count, 4)
    for picture in pictures:
        drawn = ElementTree.fromstring("<svg" + picture.partition("</svg>")[0] + "</svg>")
        places = [float(at) for one in drawn.iter() for at in (one.get("cy"), one.get("y")) if at]
        assert all(0.0 <= at <= 330.0 for at in places)


def test_a_rate_that_was_tried_twice_is_one_line_of_a_picture() -> None:
    once, again = some_steps(2), some_steps(2)
    text = page(a_report([*once, again[1]]))
    against_load, _, slowest, *_ = (part.partition("</svg>")[0] for part in text.split("<svg")[1:])
    assert against_load.count("<circle") == 2 * 4  # percentiles
    assert slowest.count("<polyline") == 2
    assert text.count("<details") == 3


def test_the_last_label_of_an_axis_ends_within_the_picture() -> None:
    text = chart.lines("Waits", Axis("", 0, 1, ticks=((1.0, "99.999 %"),)), Axis("", 0, 1), [])
    (across,) = re.findall(r'<text x="([\d.]+)"[^>]*>99.999 %', text)
    assert float(across) + len("99.999 %") * chart.CHARACTER / 2 <= chart.WIDTH


@given(st.lists(st.floats(1e-3, 1e7), min_size=1, max_size=9), st.booleans())
def test_every_value_has_its_place_on_an_axis_and_larger_ones_are_farther(
    values: list[float], log: bool
) -> None:
    axis = Axis.around("any", values, log=log)
    places = [axis.place(value) for value in sorted(values)]
    assert places == sorted(places)
    assert 0.0 <= places[0] <= places[-1] <= 1.0
    assert 1 <= len(axis.marks()) <= 40


def test_the_report_is_json_and_says_in_a_sentence_what_came_of_it() -> None:
    good, bad = a_report(some_steps(2)), a_report(some_steps(3))
    assert (good.is_good, bad.is_good) == (True, False)
    assert good.verdict() == "Every message was answered with decisions."
    assert bad.verdict() == "29 messages were not answered with decisions."
    assert not a_report(some_steps(1), failure="it died").is_good
    written = json.loads(bad.as_json())
    assert [step["offered_per_s"] for step in written["steps"]] == [100.0, 300.0, 900.0]
    assert written["steps"][2]["errors"] == {"RESOURCE_EXHAUSTED": 29}
    histogram = Latencies.decoded(written["steps"][0]["histogram_us"])
    assert len(histogram) == written["steps"][0]["latencies"]["count"] == 200
