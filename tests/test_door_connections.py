"""Connections to the native door: how they are greeted, drained, kept alive and given up."""

import pytest

from door_client import Client, order
from fendan.engine.door import ENDINGS, DoorLimits
from fendan.engine.rehearsal import Rehearsal
from http2_frames import PREFACE

NO_ERROR, PROTOCOL_ERROR, REFUSED_STREAM, CALM = 0, 1, 7, 11
OK, UNAVAILABLE = 0, 14
LAST_STREAM = (1 << 31) - 1

# The door's usual limits, and how long its timers may be late.
LIMITS = DoorLimits()
SOON_S = 0.1


def door_pings(client: Client) -> int:
    """How many times the door has asked whether the client lives."""
    return sum(type(event).__name__ == "PingReceived" for event in client.events)


def test_a_client_is_told_what_is_borne() -> None:
    client = Client(DoorLimits(concurrent_streams=7, header_bytes=3_000))
    assert client.http.remote_settings.max_concurrent_streams == 7
    assert client.http.remote_settings.max_header_list_size == 3_000


def test_more_streams_than_agreed_break_the_agreement() -> None:
    client = Client(DoorLimits(concurrent_streams=2))
    client.http.remote_settings[3] = 100  # a client that does not listen
    client.http.remote_settings.acknowledge()
    for _ in range(3):
        client.begin()
    (goodbye,) = client.goodbyes
    assert goodbye.error_code == PROTOCOL_ERROR
    assert not client.door.is_open


def test_more_streams_than_it_could_know_of_may_be_tried_again() -> None:
    """A client may begin before it has heard of limits."""
    client = Client(DoorLimits(concurrent_streams=2), is_in_a_hurry=True)
    streams = [client.begin() for _ in range(3)]
    client.catch_up()
    assert [client.answers[stream].reset for stream in streams] == [None, None, REFUSED_STREAM]


# -- DRAINING ----------------------------------------------------------------------------------


def test_a_drained_door_finishes_what_it_has_and_closes() -> None:
    client = Client()
    waiting = client.call(order(b"waiting"))
    client.hear(client.door.drain())
    assert client.goodbyes == [(LAST_STREAM, NO_ERROR, b"")]
    client.pass_time(0.2)
    assert client.goodbyes[1:] == [(waiting, NO_ERROR, b"")]
    assert client.door.is_open
    client.work()
    assert client.answers[waiting].status == OK
    assert not client.door.is_open


def test_a_call_that_was_on_its_way_is_told_to_go_elsewhere() -> None:
    client = Client()
    stream = client.http.get_next_available_stream_id()
    usual = [(":method", "POST"), (":scheme", "http"), (":authority", "x")]
    path = [(":path", "/fendan.v1.RoutingService/Route"), ("content-type", "application/grpc")]
    client.http.send_headers(stream, usual + path)
    on_its_way = client.http.data_to_send()
    told = client.door.drain()
    client.hear(told + client.door.receive(on_its_way))
    assert client.answers[stream].status == ENDINGS["draining"].status == UNAVAILABLE


def test_streams_end_with_the_answers_to_what_was_read() -> None:
    client = Client()
    busy = client.call(b"1", b"2", method="StreamRoute", end=False)
    idle = client.call(b"0", method="StreamRoute", end=False)
    done = client.begin("StreamRoute")
    client.hear(client.door.drain())
    assert client.answers[done].status == UNAVAILABLE
    assert client.answers[busy].status is None
    client.work()
    assert client.answers[busy].messages == [b"1", b"2"]
    assert client.answers[idle].messages == [b"0"]
    assert [client.answers[stream].status for stream in (busy, idle)] == [UNAVAILABLE] * 2


def test_whoever_has_no_call_for_long_is_sent_away_politely() -> None:
    client = Client(DoorLimits(idle_s=30.0, keepalive_time_s=300.0))
    client.pass_time(20.0)
    client.call(order(b"x"))
    client.pass_time(40.0)
    client.work()
    client.pass_time(29.0)
    assert not client.goodbyes
    client.pass_time(1.0 + SOON_S)
    assert client.goodbyes[0] == (LAST_STREAM, NO_ERROR, b"")
    client.pass_time(1.0)
    assert not client.door.is_open


# -- SIGNS OF LIFE -----------------------------------------------------------------------------


def test_a_silent_client_is_asked_and_stays_when_it_answers() -> None:
    client = Client(DoorLimits(keepalive_time_s=10.0, keepalive_timeout_s=5.0))
    client.pass_time(35.0)
    assert door_pings(client) == 3
    assert client.door.is_open


def test_a_client_that_gives_no_sign_is_given_up() -> None:
    client = Client(DoorLimits(keepalive_time_s=10.0, keepalive_timeout_s=5.0))
    client.call(order(b"x"))
    client.door.pass_time(14.9)
    assert client.door.is_open
    client.door.pass_time(0.1 + SOON_S)
    assert not client.door.is_open
    assert client.door.stats().streams == 0


@pytest.mark.parametrize("sent", [b"", PREFACE[:-2], PREFACE])
def test_whoever_does_not_greet_in_time_is_given_up(sent: bytes) -> None:
    door = Rehearsal(methods=[("/x/y", 0)], limits=DoorLimits(header_timeout_s=10.0))
    door.pass_time(9.0)
    door.receive(sent)
    assert door.is_open
    door.pass_time(1.0 + SOON_S)
    assert not door.is_open


def test_whoever_dawdles_within_headers_is_given_up() -> None:
    client = Client(DoorLimits(header_timeout_s=10.0))
    client.call(order(b"before"))
    block = b"\x00\x01x\x01y"
    client.pass_time(100.0)
    assert client.door.is_open
    client.send(b"\x00\x00\x05\x01\x00\x00\x00\x00\x03" + block)
    for _ in range(3):
        client.door.pass_time(3.0)
        client.door.receive(b"\x00\x00\x05\x09\x00\x00\x00\x00\x03" + block)
    assert client.door.is_open
    client.door.pass_time(1.0 + SOON_S)
    assert not client.door.is_open


# -- FLOODS ------------------------------------------------------------------------------------


def assert_sent_away(client: Client, why: bytes) -> None:
    (goodbye,) = client.goodbyes
    assert (goodbye.error_code, goodbye.why) == (CALM, why)
    assert not client.door.is_open
    assert client.door.stats().hung_up == 1


def test_pings_in_quick_succession_are_too_many() -> None:
    client = Client(DoorLimits(least_client_interval_s=10.0))
    for _ in range(10):
        client.http.ping(bytes(8))
        client.send()
        client.pass_time(10.0)
    assert client.door.is_open
    for _ in range(4):
        client.http.ping(bytes(8))
        client.send()
        client.pass_time(1.0)
    assert_sent_away(client, b"too_many_pings")


def test_pings_beside_answers_are_none_too_many() -> None:
    client = Client(DoorLimits(least_client_interval_s=10.0))
    for _ in range(20):
        client.http.ping(bytes(8))
        client.call(order(b"x"))
        client.work()
    assert client.door.is_open


FLOODS = {
    "settings": b"\x00\x00\x00\x04\x00\x00\x00\x00\x00",
    "no data": b"\x00\x00\x00\x00\x00\x00\x00\x00\x01",
}


@pytest.mark.parametrize("kind", FLOODS)
def test_frames_that_bring_nothing_are_borne_for_a_while(kind: str) -> None:
    client = Client(DoorLimits(concurrent_streams=100))
    client.begin()
    some = FLOODS[kind] * 500
    client.send(some)
    client.pass_time(5.0)
    client.send(some)
    assert client.door.is_open
    for _ in range(5):
        client.hear(client.door.receive(some))
    assert_sent_away(client, b"too_many_frames")


def test_calls_that_are_begun_and_reset_at_once_are_too_many() -> None:
    client = Client(DoorLimits(concurrent_streams=100))
    began = 0
    while client.door.is_open:
        assert began < 10_000
        client.cancel(client.begin())
        began += 1
    assert_sent_away(client, b"too_many_frames")


def test_a_client_that_gives_up_all_its_calls_at_once_again_and_again_may() -> None:
    """So do deadlines: all that was sent together ends together."""
    client = Client(DoorLimits(concurrent_streams=1_000))
    for _ in range(5):
        streams = [client.call(order(b"%d" % number)) for number in range(1_000)]
        for stream in streams:
            client.cancel(stream)
        client.work()
        client.pass_time(1.0)
    assert client.door.is_open


def test_headers_that_do_not_end_are_given_up_on() -> None:
    client = Client()
    client.send(b"\x00\x00\x05\x01\x00\x00\x00\x00\x03\x00\x01x\x01y")
    client.door.receive(b"\x00\x00\x05\x09\x00\x00\x00\x00\x03\x00\x01x\x01y" * 1_000)
    assert not client.door.is_open


def test_one_header_told_a_thousand_times_is_a_bomb() -> None:
    """A large header in the table, and then one byte each to name it again."""
    client = Client(DoorLimits(header_bytes=8_000))
    large = b"\x40\x01x\x7f\xa1\x1e" + b"y" * 4_000
    again = b"\xbe" * 10_000
    size = len(large + again).to_bytes(3, "big")
    told = client.door.receive(size + b"\x01\x04\x00\x00\x00\x03" + large + again)
    client.without_goodbyes(told)
    assert_sent_away(client, b"too_many_headers")


@pytest.mark.parametrize(
    "sent",
    [
        b"\x00\x00\x04\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00",  # a window of nothing more
        b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x04\xff\xff\xff\xff",  # of too much
        b"\x00\x00\x05\x01\x04\x00\x00\x00\x03\xff\xff\xff\xff\xff",  # headers that cannot be read
        b"\x00\x00\x01\x00\x00\x00\x00\x00\x00x",  # data of no stream
        b"\x00\x00\x01\x00\x00\x00\x00\x00\x07x",  # data of a stream that never began
        b"\x00\x00\x05\x01\x04\x00\x00\x00\x02\x00\x01x\x01y",  # a stream of the server's
        b"\x00\x00\x05\x05\x04\x00\x00\x00\x01\x00\x00\x00\x02\x82",  # a push
        b"\xff\xff\xff\x00\x00\x00\x00\x00\x01",  # a frame of 16 MiB
        b"\x00\x00\x07\x06\x00\x00\x00\x00\x00" + bytes(7),  # a ping of seven bytes
        b"\x00\x00\x05\x09\x04\x00\x00\x00\x01\x00\x01x\x01y",  # headers that go on from none
    ],
)
def test_broken_frames_end_their_connection_with_a_word(sent: bytes) -> None:
    client = Client()
    client.hear(client.door.receive(sent))
    (goodbye,) = client.goodbyes
    assert goodbye.error_code != NO_ERROR
    assert not client.door.is_open


def test_frames_of_kinds_unheard_of_are_passed_over() -> None:
    client = Client()
    client.send(b"\x00\x00\x03\xee\xff\x00\x00\x00\x00abc" * 10)
    stream = client.call(order(b"x"))
    client.work()
    assert client.answers[stream].status == OK
