"""CRC32C: what others compute, what its definition says, on every road through the code."""

import ctypes
import random
import subprocess
from pathlib import Path

import pytest

from fendan.engine.checksum import crc32c

ENGINE = Path(__file__).resolve().parents[1] / "engine"
STREAMS = 3 * 512  # bytes that are read as three streams at once
# RFC 3720, B.4, and the check value of the catalogue of CRCs.
KNOWN = {
    b"": 0x00000000,
    b"123456789": 0xE3069283,
    bytes(32): 0x8A9136AA,
    b"\xff" * 32: 0x62A8AB43,
    bytes(range(32)): 0x46DD794E,
    bytes(range(31, -1, -1)): 0x113FDB5C,
}
SIZES = [*range(70), 511, 512, STREAMS - 1, STREAMS, STREAMS + 1, 2 * STREAMS + 77, 20_011]


def by_definition(data: bytes) -> int:
    """The remainder of a division of polynomials, a bit at a time."""
    register = 0xFFFFFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (0x82F63B78 if register & 1 else 0)
    return register ^ 0xFFFFFFFF


@pytest.fixture(scope="module")
def by_tables(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """The way for processors without the instruction."""
    folder = tmp_path_factory.mktemp("crc")
    source, library = folder / "visible.c", folder / "visible.so"
    source.write_text(
        '#include "crc32c.h"\n'
        "void prepare(void) { fendan_crc_prepare(); }\n"
        "uint32_t crc(const void *data, size_t size) { return fendan_crc32c(data, size, 0); }\n"
    )
    options = ["-O2", "-shared", "-fPIC", "-DFENDAN_CRC_PORTABLE", f"-I{ENGINE}"]
    subprocess.run(["cc", *options, str(source), "-o", str(library)], check=True)
    loaded = ctypes.CDLL(str(library))
    loaded.crc.restype = ctypes.c_uint32
    loaded.prepare()
    return loaded


@pytest.mark.parametrize("data", KNOWN)
def test_the_known_checksums_come_out(data: bytes) -> None:
    assert crc32c(data) == KNOWN[data]


@pytest.mark.parametrize("size", SIZES)
def test_the_instruction_and_the_tables_compute_what_the_definition_says(
    by_tables: ctypes.CDLL, size: int
) -> None:
    data = random.Random(size).randbytes(size)
    assert crc32c(data) == by_definition(data)
    assert by_tables.crc(data, ctypes.c_size_t(size)) == by_definition(data)


def test_parts_have_the_checksum_of_the_whole_wherever_it_is_cut_and_however_it_lies() -> None:
    data = random.Random(1).randbytes(5_000)
    for cut in range(0, 5_000, 37):
        assert crc32c(memoryview(data)[cut:], crc32c(data[:cut])) == crc32c(data)
