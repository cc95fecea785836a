r"""Hunts for bytes in which the journal's reader of frames and a slow one find different things.

    python tests/fuzz/fuzz_frames.py -runs=100000 -max_len=512 FOLDER tests/fuzz/corpus/frames

The options are libFuzzer's; see fuzz_wire.py for what becomes of findings. The judge is
`frames_judge.agree_on`; its slow reader is what guides the search. Half of the mutations change a
field of a frame and seal it again, or else every change would be stopped by the checksum.

With FENDAN_FUZZ_CANARY=1 the reader takes frames of an older epoch. A run that does not find that
out is no test.
"""

import os
import random
import sys
from pathlib import Path
from typing import Any

import atheris

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import frames_judge
from frames_judge import HEADER, padded, slow_crc

PREFIX = 8  # bytes that say how the rest is read
EDGES = (0, 1, 2, 3, 8, 255, 2**31 - 1, 2**32 - 1, 2**63 - 1, 2**64 - 1)
SIZES = (2**32, 2**32, 2**64, 2**64, 2**32, 2**32, 2**32, 2**32)
SIGNED = 3  # the field that has a sign


def starts_of(data: bytes) -> list[int]:
    """Where frames seem to start."""
    starts, at = [], PREFIX
    while at + HEADER.size <= len(data):
        starts.append(at)
        at += padded(HEADER.unpack_from(data, at)[0])
    return starts


def mutate(data: bytes, most_bytes: int, seed: int) -> bytes:
    """Mutate bytes as libFuzzer does, or else one frame, sealed again; or repeat or drop one."""
    chance = random.Random(seed)
    starts = starts_of(data)
    if not starts or chance.random() < 0.5:
        return bytes(atheris.Mutate(data, most_bytes))
    at = chance.choice(starts)
    fields = list(HEADER.unpack_from(data, at))
    end = at + padded(fields[0])
    match chance.randrange(4):
        case 0:
            return (data[:end] + data[at:end] + data[end:])[:most_bytes]
        case 1:
            return data[:at] + data[end:]
    place = chance.randrange(len(fields))
    value = chance.choice([chance.choice(EDGES), fields[place] + chance.choice([-1, 1])])
    value %= SIZES[place]
    fields[place] = value - 2**63 if place == SIGNED else value
    sealed = bytearray(data)
    HEADER.pack_into(sealed, at, *fields)
    stop = at + HEADER.size + fields[0]
    if place != 1 and stop <= len(sealed):
        fields[1] = slow_crc(bytes(sealed[at + 8 : stop]))
        HEADER.pack_into(sealed, at, *fields)
    return bytes(sealed)


def forget_epochs(read: Any) -> Any:
    """A reader with a planted bug."""

    def forgetful(data: bytes, place: Any, *rest: int) -> object:
        found = read(data, place, *rest)
        if found[2] is not frames_judge.Stop.GAP:
            return found
        return read(data, place._replace(epoch=0), *rest)

    return forgetful


def main() -> None:
    """Fuzz until libFuzzer's options say enough."""
    if os.environ.get("FENDAN_FUZZ_CANARY") == "1":
        frames_judge.our_scan = forget_epochs(frames_judge.our_scan)
    for name in ("frame_at", "slow_scan", "slow_proof"):
        setattr(frames_judge, name, atheris.instrument_func(getattr(frames_judge, name)))
    atheris.Setup(sys.argv, frames_judge.agree_on, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
