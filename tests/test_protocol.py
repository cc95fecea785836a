"""What gRPC adds to HTTP/2, against slow twins written from its documents."""

import base64
import re
from urllib.parse import unquote_to_bytes

from hypothesis import example, given
from hypothesis import strategies as st

from fendan.engine import protocol, timers

SECOND_NS = 1_000_000_000
UNITS_NS = {"H": 3600 * SECOND_NS, "M": 60 * SECOND_NS, "S": SECOND_NS}
UNITS_NS |= {"m": 1_000_000, "u": 1_000, "n": 1}
FOREVER_NS = 1 << 62

ASCII = st.text(st.characters(codec="ascii"), max_size=30)


# -- HEADERS -----------------------------------------------------------------------------------


@given(st.one_of(ASCII, st.from_regex(r"\A[0-9]{0,10}[HMSmunx]?\Z")))
@example("99999999H")
@example("0n")
@example("123456789S")
def test_a_timeout_is_up_to_eight_digits_and_a_unit(text: str) -> None:
    told = re.fullmatch(r"([0-9]{1,8})([HMSmun])", text)
    expected = told and min(FOREVER_NS, int(told[1]) * UNITS_NS[told[2]])
    assert protocol.read_timeout(text.encode()) == expected


@given(
    st.one_of(
        ASCII,
        st.from_regex(r"\A(?i:application/grpc)(\+proto|\+json)?([; ].*)?\Z").filter(str.isascii),
    )
)
@example("application/grpc")
@example("application/grpc-web")
@example("APPLICATION/GRPC+PROTO;charset=utf-8")
def test_only_protobuf_messages_are_spoken(text: str) -> None:
    expected = re.fullmatch(r"application/grpc(\+proto)?([; ].*)?", text, re.I | re.S | re.A)
    assert protocol.speaks_grpc(text.encode()) == bool(expected)


@given(st.one_of(ASCII, st.from_regex(r"\A(?i:bearer) +[a-z0-9]*( .*)?\Z").filter(str.isascii)))
@example("Bearer ")
@example("Bearer a b")
@example("bearer  a")
def test_a_token_is_the_second_of_two_words(text: str) -> None:
    words = text.split(" ")
    is_token = len(words) == 2 and words[0].lower() == "bearer"
    assert protocol.token_of(text.encode()) == (words[1].encode() if is_token else None)


# -- TRAILERS ----------------------------------------------------------------------------------


@given(st.binary())
def test_words_in_a_trailer_can_be_read_back_and_are_all_that_a_header_can_hold(
    text: bytes,
) -> None:
    sent = protocol.percent_encode(text)
    assert unquote_to_bytes(sent) == text
    assert all(0x20 <= byte <= 0x7E for byte in sent)
    plain = re.sub(rb"%[0-9A-F]{2}", b"", sent)
    assert plain == bytes(byte for byte in text if 0x20 <= byte <= 0x7E and byte != ord("%"))


@given(st.binary())
def test_details_are_base64_without_padding(data: bytes) -> None:
    assert protocol.base64_encode(data) == base64.b64encode(data).rstrip(b"=")


# -- MESSAGES ----------------------------------------------------------------------------------


def one_order(data: bytes) -> bool:
    """By hand: tag 1 of type 2, a varint of up to five bytes, and as many bytes to the end."""
    if not data.startswith(b"\x0a"):
        return False
    size = 0
    for place, byte in enumerate(data[1:6]):
        size |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return len(data) == 2 + place + size
    return False


@given(
    st.one_of(
        st.binary(),
        st.binary(max_size=300).map(lambda data: b"\x0a" + bytes([len(data) & 0x7F]) + data),
        st.binary(min_size=128, max_size=300).map(
            lambda data: bytes([0x0A, len(data) & 0x7F | 0x80, len(data) >> 7]) + data
        ),
    )
)
@example(b"")
@example(b"\x0a\x00")
@example(b"\x0a\x80\x80\x80\x80\x00")
@example(b"\x0a\xff\xff\xff\xff\xff\x00")
def test_a_request_of_one_order_and_nothing_else_can_be_told(data: bytes) -> None:
    assert protocol.is_one_order(data) == one_order(data)


# -- TIMERS ------------------------------------------------------------------------------------

TICK_NS = 1 << 20

Step = tuple[int, str] | tuple[int, str, int] | tuple[int, str, int, int]


@st.composite
def days(draw: st.DrawFn) -> list[Step]:
    """Timers are set, set anew, unset and looked at while time goes by."""
    now_ns = 0
    steps: list[Step] = []
    timers_used = st.integers(0, 9)
    waits = st.one_of(st.integers(0, 5 * TICK_NS), st.integers(0, 5_000 * TICK_NS))
    for _ in range(draw(st.integers(0, 40))):
        now_ns += draw(waits)
        match draw(st.sampled_from(("set", "set", "unset", "look"))):
            case "set":
                steps.append((now_ns, "set", draw(timers_used), now_ns + draw(waits)))
            case "unset":
                steps.append((now_ns, "unset", draw(timers_used)))
            case "look":
                steps.append((now_ns, "look"))
    return [*steps, (now_ns + 20_000 * TICK_NS, "look")]


@given(days())
def test_a_timer_goes_off_once_never_early_and_at_most_two_ticks_late(steps: list[Step]) -> None:
    due_ns: dict[int, int] = {}
    looks = iter(timers.run(steps))
    for step in steps:
        match step:
            case (_, "set", timer, when_ns):
                due_ns[timer] = when_ns
            case (_, "unset", timer):
                due_ns.pop(timer, None)
            case (now_ns, "look"):
                went_off = next(looks)
                assert len(set(went_off)) == len(went_off)
                assert all(due_ns.pop(timer) <= now_ns for timer in went_off)
                assert all(when_ns + 2 * TICK_NS > now_ns for when_ns in due_ns.values())
    assert not due_ns
