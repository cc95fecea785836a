"""No change makes the engine do more for the same work unless it says so."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def guard() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        module = importlib.import_module("instructions")
        for path in BENCHMARKS.glob("*.py"):
            sys.modules.pop(path.stem, None)
    return module


def test_no_work_takes_five_percent_more_instructions_than_are_recorded(guard: ModuleType) -> None:
    recorded = guard.Counts.recorded()
    try:
        guard.comparable(recorded, guard.surroundings())
        now = guard.count()
    except guard.CannotCountError as reason:
        pytest.skip(str(reason))
    assert guard.grown(recorded, now) == {}


def test_what_grows_by_six_percent_is_named_and_what_grows_by_four_is_not(
    guard: ModuleType,
) -> None:
    recorded = guard.Counts({}, 1, {"search": 1000, "reply": 1000, "gone": 1000})
    now = guard.Counts({}, 1, {"search": 1060, "reply": 1040, "new": 1})
    assert guard.grown(recorded, now) == {
        "search": "takes +6.0% instructions",
        "new": "is not recorded",
        "gone": "is recorded, and counted no more",
    }


def test_counts_of_another_compiler_are_not_compared(guard: ModuleType) -> None:
    recorded = guard.Counts.recorded()
    here = dict(recorded.depends_on)
    guard.comparable(recorded, here)
    with pytest.raises(guard.CannotCountError, match="here is GCC 99"):
        guard.comparable(recorded, {**here, "built by": "GCC 99"})


def test_the_record_has_all_that_is_counted(guard: ModuleType) -> None:
    recorded = guard.Counts.recorded()
    assert list(recorded.instructions) == sorted(work.__name__ for work in guard.counted.COUNTED)
    assert recorded.orders == guard.counted.ORDERS
    assert min(recorded.instructions.values()) > 100 * recorded.orders
