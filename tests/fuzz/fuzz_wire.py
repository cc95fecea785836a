r"""Hunts for bytes on which the wire and the protobuf runtime differ.

    python tests/fuzz/fuzz_wire.py -runs=100000 -max_len=256 -reduce_inputs=0 \
        FOLDER tests/fuzz/corpus/wire

The options are libFuzzer's. What is new goes into FOLDER, which must be there; a difference ends
the run with exit status 77 and is written down as crash-… .
The judge is `wire_judge.agree_on`.

The compiled core carries no coverage counters: GCC builds it, and libFuzzer reads Clang's. What
guides the search instead is `parse`, a small reader in Python that atheris instruments: inputs
that take it down a new path are kept. It cannot tell one field from another, so inputs must not be
reduced to shorter ones that it takes for the same: the seeds would soon have lost their orders. And
half of the mutations are made on the tree that it reads, so that lengths stay right and the harm
goes deep.

With FENDAN_FUZZ_CANARY=1 the wire forgets the sign of quantities. A run that does not find that
out is no test.
"""

import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import atheris

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import wire_judge

# A field as its tag and its value: bytes as they stand, or the fields of a message.
Part = tuple[int, Any]

VARINT, FIXED64, LENGTH, START_GROUP, END_GROUP, FIXED32 = range(6)
EDGES = (0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63, 2**64 - 1)
MUTATIONS = ("change", "change", "renumber", "repeat", "drop", "swap", "wrap", "group")
DEEPEST = 6  # of a tree; deeper messages are left as bytes


# -- TREES ---------------------------------------------------------------------------------------


@atheris.instrument_func
def parse(data: bytes, depth: int = 0) -> list[Part] | None:
    """The fields of a message; None where it is none, as far as this simple reader can tell."""
    parts: list[Part] = []
    at = 0
    while at < len(data):
        tag, at = number_at(data, at)
        start, wire_type = at, tag & 7
        if wire_type == VARINT:
            _, at = number_at(data, at)
        elif wire_type == FIXED64:
            at += 8
        elif wire_type == FIXED32:
            at += 4
        elif wire_type == LENGTH:
            size, start = number_at(data, at)
            at = start + size
        elif wire_type not in (START_GROUP, END_GROUP):
            return None
        if at > len(data):
            return None
        inner = None
        if wire_type == LENGTH and depth < DEEPEST:
            inner = parse(data[start:at], depth + 1)
        parts.append((tag, data[start:at] if inner is None else inner))
    return parts


@atheris.instrument_func
def number_at(data: bytes, at: int) -> tuple[int, int]:
    """A varint, and where it ends: past the end of the data where it is cut off."""
    number = shift = 0
    while at < len(data):
        number |= (data[at] & 0x7F) << shift
        at += 1
        if data[at - 1] < 0x80:
            return number, at
        shift += 7
    return number, at + 1


def varint(number: int) -> bytes:
    digits = [number >> shift & 0x7F for shift in range(0, max(1, number.bit_length()), 7)]
    return bytes([digit | 0x80 for digit in digits[:-1]] + digits[-1:])


def assemble(parts: list[Part]) -> bytes:
    """The message of a tree."""
    data = b""
    for tag, value in parts:
        content = assemble(value) if isinstance(value, list) else value
        size = varint(len(content)) if tag & 7 == LENGTH else b""
        data += varint(tag) + size + content
    return data


def places(parts: list[Part]) -> Iterator[tuple[list[Part], int]]:
    """Every field of a tree, as its list and its place there."""
    for place, (_, value) in enumerate(parts):
        yield parts, place
        if isinstance(value, list):
            yield from places(value)


# -- MUTATIONS -----------------------------------------------------------------------------------


def mutate(data: bytes, most_bytes: int, seed: int) -> bytes:
    """Mutate bytes as libFuzzer does, or else one field of the tree."""
    chance = random.Random(seed)
    parts = parse(data)
    if not parts or chance.random() < 0.5:
        return bytes(atheris.Mutate(data, most_bytes))
    siblings, place = chance.choice(list(places(parts)))
    tag, value = siblings[place]
    match chance.choice(MUTATIONS):
        case "change" if tag & 7 == VARINT:
            siblings[place] = tag, varint(chance.choice(EDGES))
        case "change":
            content = assemble(value) if isinstance(value, list) else value
            siblings[place] = tag, bytes(atheris.Mutate(content, len(content) + 8))
        case "renumber":
            siblings[place] = chance.randrange(64), value
        case "repeat":
            siblings.insert(chance.randrange(len(siblings) + 1), (tag, value))
        case "drop":
            del siblings[place]
        case "swap":
            other = chance.randrange(len(siblings))
            siblings[place], siblings[other] = siblings[other], siblings[place]
        case "wrap":
            siblings[place] = chance.randrange(1, 6) << 3 | LENGTH, [(tag, value)]
        case "group":
            number = chance.randrange(1, 20) << 3
            siblings.insert(place, (number | START_GROUP, b""))
            siblings.insert(place + 2, (number | END_GROUP, b""))
    return assemble(parts)[:most_bytes]


# -- THE TARGET ----------------------------------------------------------------------------------


def one_input(data: bytes) -> None:
    parse(data)
    wire_judge.agree_on(data)


def forget_signs(read: Any) -> Any:
    """A reader with a planted bug."""

    def forgetful(data: bytes, kind: Any) -> object:
        content = read(data, kind)
        if content == wire_judge.REFUSED:
            return content
        orders = [
            (*order, [(sku, quantity & 0x7FFFFFFF, amount) for sku, quantity, amount in lines])
            for *order, lines in content[0]
        ]
        return (orders, *content[1:])

    return forgetful


def main() -> None:
    """Fuzz until libFuzzer's options say enough."""
    if os.environ.get("FENDAN_FUZZ_CANARY") == "1":
        wire_judge.our_request = forget_signs(wire_judge.our_request)
    atheris.Setup(sys.argv, one_input, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
