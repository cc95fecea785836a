"""Calls at the native door, frame by frame: what is answered, refused, dropped and held up."""

import base64
import hashlib
from urllib.parse import unquote

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from door_client import METHODS, Client, echo, framed, order
from fendan.engine.door import ENDINGS, DoorLimits, Ending
from fendan.server.call_counts import BUCKETS_S
from fendan.v1.order_pb2 import Decision, Order, OrderLine
from fendan.v1.routing_service_pb2 import (
    BatchRouteRequest,
    BatchRouteResponse,
    RouteRequest,
    RouteResponse,
)

OK, CANCELLED, DEADLINE_EXCEEDED, EXHAUSTED, UNIMPLEMENTED = 0, 1, 4, 8, 12
INTERNAL, UNAVAILABLE, UNAUTHENTICATED = 13, 14, 16
NO_ERROR, PROTOCOL_ERROR, CANCEL = 0, 1, 8
MOST_MESSAGES = 64


def assert_ended(client: Client, stream: int, name: str) -> None:
    """The call ended with the prepared ending of this name, and no message."""
    answer, ending = client.answers[stream], ENDINGS[name]
    assert (answer.status, answer.has_ended, answer.data) == (ending.status, True, b"")
    assert unquote(answer.headers["grpc-message"]) == ending.message
    assert answer.headers[":status"] == "200"
    assert answer.headers["content-type"] == "application/grpc"


# -- ANSWERS -----------------------------------------------------------------------------------


def test_a_call_gets_its_answer_and_a_status_behind_it() -> None:
    client = Client()
    stream = client.call(order(b"tea"))
    assert client.work(lambda data: b"to " + data) == [order(b"tea")]
    answer = client.answers[stream]
    assert answer.headers == {":status": "200", "content-type": "application/grpc"}
    assert answer.messages == [b"to " + order(b"tea")]
    assert (answer.trailers, answer.has_ended) == ({"grpc-status": "0"}, True)
    assert answer.reset is None


def test_orders_that_come_one_a_call_are_one_piece_and_each_call_gets_its_own() -> None:
    client = Client()
    names = [b"order %d" % number for number in range(100)]
    streams = [client.call(order(name)) for name in names]
    assert client.work() == [b"".join(map(order, names))]
    assert [client.answers[stream].messages for stream in streams] == [
        [order(name)] for name in names
    ]


ORDERS = st.builds(
    lambda name, skus: Order(id=name, lines=[OrderLine(sku=sku, quantity=1) for sku in skus]),
    st.text(max_size=200),
    st.lists(st.text(max_size=20), max_size=5),
)


@given(st.lists(ORDERS, min_size=1, max_size=20), st.data())
def test_gathered_orders_are_a_batch_and_its_answer_is_theirs(
    orders: list[Order], chance: st.DataObject
) -> None:
    client = Client()
    streams = [client.call(RouteRequest(order=one).SerializeToString()) for one in orders]
    gone = chance.draw(st.sets(st.sampled_from(streams)))
    for stream in gone:
        client.cancel(stream)
    left = [one for one, stream in zip(orders, streams, strict=True) if stream not in gone]

    def work(data: bytes) -> bytes:
        request = BatchRouteRequest.FromString(data)
        assert list(request.orders) == left
        decisions = [Decision(order_id=one.id, store_id="S1") for one in request.orders]
        return BatchRouteResponse(decisions=decisions).SerializeToString()

    assert len(client.work(work)) == bool(left)
    for one, stream in zip(orders, streams, strict=True):
        if stream in gone:
            assert client.answers[stream].status is None
            continue
        (message,) = client.answers[stream].messages
        expected = RouteResponse(decision=Decision(order_id=one.id, store_id="S1"))
        assert RouteResponse.FromString(message) == expected


def test_whatever_is_not_one_order_alone_is_a_piece_of_its_own_in_its_place() -> None:
    client = Client()
    with_policy = order(b"b") + b"\x12\x00"
    for data in (order(b"a"), order(b"b"), with_policy, b"", order(b"c"), order(b"d")):
        client.call(data)
    client.call(order(b"batch"), method="BatchRoute")
    pieces = [order(b"a") + order(b"b"), with_policy, b"", order(b"c") + order(b"d")]
    assert client.work() == [*pieces, order(b"batch")]


def test_a_piece_can_be_halved_until_each_call_stands_alone() -> None:
    client = Client()
    streams = [client.call(order(b"%d" % number)) for number in range(5)]
    turn = client.door.take()
    assert turn is not None
    (piece,) = turn
    first, second = piece.halves()
    assert (first.count, second.count) == (2, 3)
    assert first.data + second.data == piece.data
    third, fourth = second.halves()
    first.answer(first.data)
    third.end(Ending(3, "no such SKU", b"details"))
    fourth.answer(fourth.data)
    client.hear(client.door.hand_back(turn))
    assert [client.answers[stream].status for stream in streams] == [0, 0, 3, 0, 0]
    assert [client.answers[stream].messages for stream in streams] == [
        [order(b"0")], [order(b"1")], [], [order(b"3")], [order(b"4")]
    ]  # fmt: skip


def test_an_answer_that_does_not_fit_its_piece_is_refused_and_another_can_be_given() -> None:
    client = Client()
    streams = [client.call(order(b"a")), client.call(order(b"b"))]
    turn = client.door.take()
    assert turn is not None
    (piece,) = turn
    one = order(b"a")
    for wrong in (b"", one, one * 3, one + b"\x12\x00", one + one + b"\0", one + one[:-1]):
        with pytest.raises(ValueError, match="2 decisions"):
            piece.answer(wrong)
    with pytest.raises(ValueError, match="only a piece of one"):
        piece.end(ENDINGS["late"])
    piece.answer(one + one)
    with pytest.raises(ValueError, match="has its answer"):
        piece.answer(one + one)
    client.hear(client.door.hand_back(turn))
    assert [client.answers[stream].status for stream in streams] == [OK, OK]
    with pytest.raises(ValueError, match="handed back"):
        piece.data  # noqa: B018 - it raises
    with pytest.raises(ValueError, match="handed back"):
        client.door.hand_back(turn)


def test_a_call_that_nobody_answers_ends_as_an_internal_error() -> None:
    client = Client()
    streams = [client.call(order(b"forgotten")), client.call(b"", method="BatchRoute")]
    turn = client.door.take()
    assert turn is not None
    del turn
    client.hear(client.door.settled())
    for stream in streams:
        assert_ended(client, stream, "internal")


@pytest.mark.parametrize("message", ["plain words", "50 %, naïve: 订单\n\r\t\0", "", "a" * 3_000])
def test_an_ending_is_told_with_its_details(message: str) -> None:
    client = Client()
    stream = client.call(order(b"x"))
    client.work(lambda _: Ending(9, message, b"\0\xff details"))
    answer = client.answers[stream]
    assert (answer.status, answer.data, answer.trailers) == (9, b"", {})
    assert unquote(answer.headers.get("grpc-message", "")) == message
    details = answer.headers["grpc-status-details-bin"]
    assert "=" not in details
    assert base64.b64decode(details + "==") == b"\0\xff details"


@given(st.lists(st.integers(0, 40_000), min_size=1, max_size=8), st.integers(1, 7_000))
def test_messages_may_be_cut_into_frames_anywhere(sizes: list[int], frame_bytes: int) -> None:
    client = Client()
    stream = client.begin("StreamRoute")
    messages = [bytes([number]) * size for number, size in enumerate(sizes)]
    sent = framed(*messages)
    for start in range(0, len(sent), frame_bytes):
        client.say(stream, sent[start : start + frame_bytes])
    client.end(stream)
    while client.work():
        pass
    answer = client.answers[stream]
    assert (answer.messages, answer.status) == (messages, OK)


@pytest.mark.parametrize("size", [0, 1, 16_384, 65_536, 65_537, 1_000_000, 3_000_000])
def test_a_message_of_any_size_arrives_and_so_does_its_answer(size: int) -> None:
    client = Client(DoorLimits(message_bytes=3_000_000))
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)
    stream = client.call(data, method="BatchRoute")
    assert client.work() == [data]
    assert (client.answers[stream].messages, client.answers[stream].status) == ([data], OK)


def test_padding_is_given_back_to_the_window() -> None:
    client = Client()
    for _ in range(400):
        stream = client.begin()
        for byte in framed(order(b"padded")):
            client.http.send_data(stream, bytes([byte]), pad_length=255)
        client.http.end_stream(stream)
        client.send()
        assert client.work() == [order(b"padded")]


# -- WHAT IS NO CALL ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("replaced", "status"),
    [
        ({"content-type": "application/json"}, "415"),
        ({"content-type": "application/grpc-web"}, "415"),
        ({"content-type": ""}, "415"),
        ({":method": "GET"}, "405"),
        ({":method": "PUT"}, "405"),
    ],
)
def test_whatever_is_no_grpc_is_told_so_in_http(replaced: dict[str, str], status: str) -> None:
    client = Client()
    stream = client.begin(replaced=replaced, end=True)
    assert client.answers[stream].headers == {":status": status}
    assert client.answers[stream].has_ended
    assert client.work() == []


@pytest.mark.parametrize(
    ("replaced", "name"),
    [
        ({":path": "/fendan.v1.RoutingService/Nearest"}, "not_served"),
        ({":path": "/fendan.v1.RoutingService/Rout"}, "not_served"),
        ({":path": "/"}, "not_served"),
        ({"grpc-timeout": "soon"}, "bad_timeout"),
        ({"grpc-timeout": "123456789S"}, "bad_timeout"),
        ({"grpc-timeout": "0m"}, "late"),
        ({"grpc-encoding": "gzip"}, "bad_encoding"),
        ({"x-large": "x" * 17_000}, "big_headers"),
    ],
)
def test_a_call_that_cannot_begin_is_told_why(replaced: dict[str, str], name: str) -> None:
    client = Client()
    stream = client.begin(replaced=replaced, end=True)
    assert_ended(client, stream, name)
    told = client.answers[stream].headers.get("grpc-accept-encoding")
    assert told == ("identity" if name == "bad_encoding" else None)
    assert client.work() == []


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        (b"", "no_message"),
        (b"\0\0\0", "cut_off"),
        (framed(order(b"a"))[:-1], "cut_off"),
        (b"\0\0\0\0\0\0", "many_messages"),
        (framed(order(b"a"), order(b"b")), "many_messages"),
        (framed(order(b"a"), flag=1), "bad_prefix"),
        (b"\xff" * 20, "bad_prefix"),
        (b"\0\xff\xff\xff\xff", "too_large"),
    ],
)
def test_a_malformed_request_is_told_why_and_nothing_is_routed(sent: bytes, name: str) -> None:
    client = Client()
    stream = client.begin()
    client.http.send_data(stream, sent, end_stream=True)
    client.send()
    assert_ended(client, stream, name)
    assert client.work() == []


def test_a_request_that_goes_on_is_cut_short_and_others_are_not() -> None:
    client = Client(DoorLimits(message_bytes=1_000))
    bad, good = client.begin(), client.begin()
    client.say(bad, b"\0\0\0\x10\0" + bytes(100))
    assert_ended(client, bad, "too_large")
    assert client.answers[bad].reset == NO_ERROR
    client.say(good, framed(order(b"fine")), end=True)
    client.work()
    assert client.answers[good].status == OK


@pytest.mark.parametrize(
    "replaced",
    [
        {":path": "*"},
        {":path": ""},
        {":method": ""},
        {"authorization": "Bearer "},
        {"Upper": "case"},
        {"connection": "close"},
        {"content-length": "7"},
    ],
)
def test_headers_that_http_forbids_reset_their_stream_alone(replaced: dict[str, str]) -> None:
    client = Client()
    stream, other = client.begin(replaced=replaced), client.begin()
    client.say(stream, framed(order(b"bad")), end=True)
    client.say(other, framed(order(b"good")), end=True)
    assert client.answers[stream].reset == PROTOCOL_ERROR
    assert client.work() == [order(b"good")]
    assert client.answers[other].status == OK


def test_a_method_that_is_not_asked_for_may_say_its_own_words() -> None:
    ending = Ending(12, "it is at port 50051", b"x")
    client = Client(endings={"not_served": ending})
    stream = client.begin("Nearest", end=True)
    assert client.answers[stream].headers["grpc-message"] == ending.message


# -- WHO CALLS ---------------------------------------------------------------------------------

TOKENS = tuple(
    (hashlib.sha256(token).digest(), mask)
    for token, mask in ((b"all", 0b111), (b"batches", 0b010), (b"t" * 1_000, 1))
)


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ([], "no_token"),
        (["Bearer"], "bad_header"),
        (["Basic all"], "bad_header"),
        (["Bearer all all"], "bad_header"),
        (["Bearer all", "Bearer all"], "bad_header"),
        (["Bearer al"], "unknown_token"),
    ],
)
def test_whoever_has_no_token_is_told_so(sent: list[str], name: str) -> None:
    client = Client(tokens=TOKENS)
    stream = client.begin(more=[("authorization", text) for text in sent], end=True)
    assert_ended(client, stream, name)
    assert client.work() == []


def test_a_piece_says_who_calls() -> None:
    client = Client(tokens=TOKENS)
    for token in ("all", "t" * 1_000, "all"):
        client.call(order(b"x"), authorization=f"bearer {token}")
    client.call(order(b"x"), method="BatchRoute", authorization="Bearer batches")
    turn = client.door.take()
    assert turn is not None
    gathered, batch = turn
    assert (gathered.callers(), gathered.caller, gathered.is_allowed) == ([0, 2, 0], 0, True)
    assert (batch.callers(), batch.caller, batch.method) == ([1], 1, 1)


@pytest.mark.parametrize("method", ["Route", "StreamRoute"])
def test_a_caller_who_may_not_is_refused_in_words_of_ours_whatever_is_sent(method: str) -> None:
    client = Client(tokens=TOKENS)
    stream = client.begin(method, {"authorization": "Bearer batches"})
    turn = client.door.take()
    assert turn is not None
    (piece,) = turn
    assert not piece.is_allowed
    assert METHODS[piece.method][0].endswith(f"/{method}")
    client.say(stream, framed(order(b"unheard")))
    piece.end(Ending(7, "not with this token", b""))
    client.hear(client.door.hand_back(turn))
    assert client.answers[stream].status == 7
    assert client.work() == []


# -- WHO DOES NOT WAIT -------------------------------------------------------------------------


def test_a_call_that_is_cancelled_in_the_queue_is_not_routed() -> None:
    client = Client()
    streams = [client.call(order(b"%d" % number)) for number in range(5)]
    for stream in streams[::2]:
        client.cancel(stream)
    assert client.work() == [order(b"1") + order(b"3")]
    assert [client.answers[stream].status for stream in streams] == [None, OK, None, OK, None]
    assert client.door.stats().ended[0].tolist()[:2] == [2, 3]


def test_the_answer_to_a_call_that_is_cancelled_in_work_is_thrown_away() -> None:
    client = Client()
    stream, other = client.call(order(b"gone")), client.call(order(b"here"))

    def work(data: bytes) -> bytes:
        client.cancel(stream)
        return data

    assert client.work(work) == [order(b"gone") + order(b"here")]
    assert client.answers[stream].data == b""
    assert client.answers[other].status == OK


def test_a_call_whose_deadline_passes_in_the_queue_ends_then_and_is_not_routed() -> None:
    client = Client()
    late = client.call(order(b"late"), grpc_timeout="500m")
    patient = client.call(order(b"patient"), grpc_timeout="5S")
    client.pass_time(0.4)
    assert client.answers[late].status is None
    client.pass_time(0.2)
    assert_ended(client, late, "late")
    assert client.work() == [order(b"patient")]
    assert client.answers[patient].status == OK


def test_a_call_whose_deadline_passes_while_it_is_sent_ends_then() -> None:
    client = Client()
    stream = client.begin(replaced={"grpc-timeout": "1S"})
    client.say(stream, framed(order(b"slow"))[:-1])
    client.pass_time(1.1)
    assert_ended(client, stream, "late")
    assert client.answers[stream].reset == NO_ERROR


def test_a_stream_that_has_answers_is_reset_at_its_deadline() -> None:
    client = Client()
    stream = client.call(b"one", method="StreamRoute", end=False, grpc_timeout="1S")
    client.work()
    client.pass_time(1.1)
    assert client.answers[stream].messages == [b"one"]
    assert client.answers[stream].reset == CANCEL
    assert client.door.stats().ended[2][DEADLINE_EXCEEDED] == 1


def test_whoever_vanishes_is_not_routed_and_costs_nothing() -> None:
    client = Client()
    for number in range(10):
        client.call(order(b"%d" % number))
    client.call(b"x", method="StreamRoute", end=False)
    client.door.leave()
    assert client.work() == []
    stats = client.door.stats()
    assert (stats.streams, stats.queue_requests, stats.queue_bytes, stats.held_bytes) == (0,) * 4
    assert stats.ended.sum(axis=0)[CANCELLED] == 11


# -- STREAMS -----------------------------------------------------------------------------------


def test_a_stream_gets_its_answers_in_order_and_ends_when_all_is_said() -> None:
    client = Client()
    stream = client.begin("StreamRoute")
    client.say(stream, framed(b"1", b"2"))
    assert client.work() == [b"1", b"2"]
    assert client.answers[stream].messages == [b"1", b"2"]
    client.say(stream, framed(b"3"), end=True)
    assert not client.answers[stream].has_ended
    client.work()
    assert client.answers[stream].messages == [b"1", b"2", b"3"]
    assert client.answers[stream].trailers == {"grpc-status": "0"}


def test_a_stream_without_a_message_ends_well() -> None:
    client = Client()
    at_once, later = client.begin("StreamRoute", end=True), client.begin("StreamRoute")
    client.end(later)
    assert [client.answers[stream].status for stream in (at_once, later)] == [OK, OK]


def test_a_stream_that_is_ended_keeps_the_answers_before() -> None:
    client = Client()
    stream = client.call(b"good", b"bad", b"unread", method="StreamRoute", end=False)
    client.work(lambda data: data if data == b"good" else Ending(3, "cannot be read: 100 %", b"d"))
    answer = client.answers[stream]
    assert answer.messages == [b"good"]
    assert answer.trailers["grpc-status"] == "3"
    assert unquote(answer.trailers["grpc-message"]) == "cannot be read: 100 %"
    assert answer.trailers["grpc-status-details-bin"] == "ZA"
    client.work()
    assert answer.messages == [b"good"]


@pytest.mark.parametrize(
    ("sent", "name"),
    [(framed(b"x", flag=2), "bad_prefix"), (b"\0\x7f\xff\xff\xff", "too_large")],
)
def test_a_stream_with_a_malformed_message_ends(sent: bytes, name: str) -> None:
    client = Client()
    stream = client.begin("StreamRoute")
    client.say(stream, sent)
    assert_ended(client, stream, name)


def test_a_stream_that_ends_within_a_message_is_told_so() -> None:
    client = Client()
    stream = client.call(b"whole", method="StreamRoute", end=False)
    client.say(stream, framed(b"half")[:-1], end=True)
    assert client.answers[stream].status == INTERNAL


def test_a_stream_is_read_no_further_than_its_answers_are() -> None:
    client = Client()
    stream = client.begin("StreamRoute")
    message = bytes(10_000)
    sent = 0
    while client.http.local_flow_control_window(stream) > len(message) + 5:
        client.say(stream, framed(message))
        sent += 1
    assert client.door.stats().queue_requests == MOST_MESSAGES
    assert sent > MOST_MESSAGES
    assert len(client.work()) == MOST_MESSAGES
    assert client.http.local_flow_control_window(stream) > len(message) + 5
    assert len(client.work()) == sent - MOST_MESSAGES


def test_one_stream_that_is_held_up_holds_up_no_other() -> None:
    client = Client()
    stalled = [client.begin("StreamRoute") for _ in range(30)]
    for stream in stalled:
        while client.http.local_flow_control_window(stream) > 20_005:
            client.say(stream, framed(bytes(10_000)))
    other = client.call(bytes(1_000_000), method="BatchRoute")
    held = client.door.stats().held_bytes
    assert 0 < held < 30 * 300_000
    while client.work():
        pass
    assert client.answers[other].status == OK
    assert client.door.stats().held_bytes == 0


# -- LIMITS ------------------------------------------------------------------------------------


def test_beyond_the_queue_a_call_is_told_to_come_again() -> None:
    client = Client(DoorLimits(queue_requests=3, queue_bytes=1_000))
    streams = [client.call(order(b"%d" % number)) for number in range(5)]
    for stream in streams[3:]:
        assert_ended(client, stream, "busy")
    client.work()
    assert [client.answers[stream].status for stream in streams] == [OK, OK, OK, 8, 8]
    large = client.call(bytes(100_000), method="BatchRoute")
    small = client.call(order(b"x"))
    assert_ended(client, small, "busy")
    client.work()
    assert client.answers[large].status == OK


def test_a_stream_waits_for_room_in_the_queue() -> None:
    client = Client(DoorLimits(queue_requests=2))
    stream = client.call(*[b"%d" % number for number in range(20)], method="StreamRoute")
    while client.work():
        pass
    assert client.answers[stream].messages == [b"%d" % number for number in range(20)]
    assert client.answers[stream].status == OK


def test_a_turn_has_only_so_many_calls() -> None:
    client = Client(DoorLimits(turn_orders=4))
    for number in range(10):
        client.call(order(b"%d" % number))
    assert [len(client.work()[0]) for _ in range(3)] == [12, 12, 6]


def test_counts_tell_of_calls_by_method_and_status() -> None:
    client = Client()
    client.call(order(b"a"))
    client.call(order(b"b"), method="BatchRoute")
    client.begin("Nearest", end=True)
    client.pass_time(0.3)
    client.work(echo)
    stats = client.door.stats()
    assert {(method, status): count for (method, status), count in _counted(stats.ended)} == {
        (0, OK): 1,
        (1, OK): 1,
        (3, UNIMPLEMENTED): 1,
    }
    assert stats.seconds.sum(axis=1).tolist() == [1, 1, 0, 1]
    assert stats.seconds_sum[0] == pytest.approx(0.3)


@pytest.mark.parametrize("edge", range(len(BUCKETS_S)))
def test_calls_lie_between_the_edges_that_prometheus_is_told(edge: int) -> None:
    client = Client()
    client.call(order(b"up to it"))
    client.door.pass_time(BUCKETS_S[edge])
    client.work()
    client.call(order(b"longer"))
    client.door.pass_time(1.001 * BUCKETS_S[edge])
    client.work()
    within = client.door.stats().seconds[0].tolist()
    assert len(within) == len(BUCKETS_S) + 1
    assert (within[edge], within[edge + 1], sum(within)) == (1, 1, 2)


def test_a_half_keeps_its_answer_when_the_whole_is_answered_wrongly() -> None:
    client = Client()
    orders = [order(b"%d" % number) for number in range(4)]
    streams = [client.call(one) for one in orders]
    turn = client.door.take()
    assert turn is not None
    (piece,) = turn
    first, second = piece.halves()
    second.answer(b"".join(orders[2:]))
    with pytest.raises(ValueError, match="4 decisions"):
        piece.answer(orders[0])
    first.answer(b"".join(orders[:2]))
    client.hear(client.door.hand_back(turn))
    assert [client.answers[stream].messages for stream in streams] == [[one] for one in orders]


def _counted(ended: NDArray[np.int64]) -> list[tuple[tuple[int, int], int]]:
    rows = ended.tolist()
    return [
        ((row, column), count)
        for row, counts in enumerate(rows)
        for column, count in enumerate(counts)
        if count
    ]
