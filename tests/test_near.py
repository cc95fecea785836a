"""The vectorised loops: every version that a processor may be given computes the same bits."""

import ctypes
import platform
import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

ENGINE = Path(__file__).resolve().parents[1] / "engine"

# near.h has static functions; these are the same, visible.
VISIBLE = """
#include "near.h"
int32_t box_keys(const float *boxes, size_t count, float x, float y, float z, int32_t *keys) {
    return fendan_box_keys(boxes, count, x, y, z, keys);
}
void store_keys(const float *sketches, float x, float y, float z, int32_t *keys) {
    fendan_store_keys(sketches, x, y, z, keys);
}
int32_t least_key(const float *sketches, float x, float y, float z, uint64_t candidates) {
    return fendan_least_key(sketches, x, y, z, candidates);
}
uint64_t keys_within(const int32_t *keys, size_t count, int32_t limit) {
    return fendan_keys_within(keys, count, limit);
}
"""
FLAGS = {"plain": [], "avx2": ["-mavx2", "-mfma"], "avx512f": ["-mavx512f", "-mfma"]}


def runs_here(version: str) -> bool:
    info = Path("/proc/cpuinfo")
    there = platform.machine() == "x86_64" and info.exists()
    return version == "plain" or (there and f" {version} " in info.read_text())


@pytest.fixture(scope="module", params=FLAGS)
def loops(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """The loops compiled for one kind of processor, as setup.py compiles them."""
    if not runs_here(request.param):
        pytest.skip(f"this processor has no {request.param}")
    folder = tmp_path_factory.mktemp(request.param)
    source, library = folder / "visible.c", folder / "visible.so"
    source.write_text(VISIBLE)
    options = ["-O3", "-ffp-contract=off", "-fno-trapping-math", "-shared", "-fPIC"]
    options += ["-DFENDAN_CLONES=", f"-I{ENGINE}", *FLAGS[request.param]]
    subprocess.run(["cc", *options, str(source), "-o", str(library)], check=True)
    loaded = ctypes.CDLL(str(library))
    loaded.keys_within.restype = ctypes.c_uint64
    return loaded


def of(array: NDArray[np.generic]) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def keys_of(squared: NDArray[np.float32]) -> NDArray[np.int32]:
    """What a key is, said once more: the bits of the distance, their lowest six the number."""
    numbers = np.arange(len(squared), dtype=np.int32)
    return (squared.view(np.int32) & ~np.int32(63)) | numbers


def candidate_words(random: np.random.Generator) -> list[int]:
    """None of 64 slots, all, each alone, and some."""
    some = random.integers(0, 2**64, 20, dtype=np.uint64)
    few = some & np.roll(some, 1) & np.roll(some, 2) & np.roll(some, 3)
    return [0, 2**64 - 1, *(1 << slot for slot in range(64)), *some.tolist(), *few.tolist()]


@pytest.mark.parametrize("seed", range(20))
def test_every_version_gives_the_keys_of_the_formula(loops: ctypes.CDLL, seed: int) -> None:
    random = np.random.default_rng(seed)
    corners = np.sort(random.uniform(-1, 1, (3, 2, 64)).astype(np.float32), axis=1)
    sketches = random.uniform(-1, 1, (3, 64)).astype(np.float32)
    at = random.uniform(-1, 1, 3).astype(np.float32)
    where = [ctypes.c_float(coordinate) for coordinate in at.tolist()]

    outside = np.maximum(corners[:, 0] - at[:, None], at[:, None] - corners[:, 1])
    x, y, z = np.maximum(outside, np.float32(0)) ** 2
    for count in (16, 32, 64):
        keys = np.full(64, -1, dtype=np.int32)
        least = loops.box_keys(of(corners), ctypes.c_size_t(count), *where, of(keys))
        np.testing.assert_array_equal(keys[:count], keys_of(x + y + z)[:count])
        assert np.all(keys[count:] == -1)
        assert least == keys[:count].min()

    loops.store_keys(of(sketches), *where, of(keys))
    x, y, z = (sketches - at[:, None]) ** 2
    np.testing.assert_array_equal(keys, keys_of(x + y + z))

    limit = int(np.sort(keys)[20])
    for count in (16, 32, 48, 64):
        within = loops.keys_within(of(keys), ctypes.c_size_t(count), ctypes.c_int32(limit))
        near = np.flatnonzero(keys[:count] <= limit).tolist()
        assert within == sum(1 << number for number in near)

    for candidates in candidate_words(random):
        least = loops.least_key(of(sketches), *where, ctypes.c_uint64(candidates))
        of_them = [int(key) for slot, key in enumerate(keys) if candidates >> slot & 1]
        assert least == min(of_them, default=2**31 - 1)
