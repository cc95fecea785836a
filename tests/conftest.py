"""What all tests share: how hard Hypothesis tries, and where the real data lies."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from built import HAS_DOOR, NO_DOOR, needs_door
from serving import by_native_door

# Nothing here is judged by the clock: a shared machine may take its time.
settings.register_profile(
    "default",
    deadline=None,
    max_examples=100,
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.register_profile("thorough", settings.get_profile("default"), max_examples=1000)
# With sanitizers: what all of them decide was judged without, what is touched shows in fewer.
settings.register_profile("sanitized", settings.get_profile("default"), max_examples=40)
settings.load_profile(os.environ.get("FENDAN_HYPOTHESIS", "default"))


# The files that take longest, the longest first. Each goes to one worker as a whole: whichever came
# last would be waited for alone.
LONGEST = (
    "test_kill",
    "test_build",
    "test_simulation",
    "test_benchmarks",
    "test_serve",
    "test_load_servers",
    "test_routing_service",
    "test_readme",
    "test_engine_machine",
    "test_life_machine",
    "test_instructions",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files begin first; all else stays in its order."""
    place = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(LONGEST)))


@pytest.fixture(scope="session", autouse=True)
def _nobody_s_data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Servers that are told no folder keep their journals where they can do no harm."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        yield


class _WithoutDoor(pytest.Module):
    """A module of tests that this build has nothing for."""

    def collect(self) -> Iterator[pytest.Item]:
        pytest.skip(NO_DOOR, allow_module_level=True)


def pytest_pycollect_makemodule(
    module_path: Path, parent: pytest.Collector
) -> pytest.Module | None:
    if HAS_DOOR or not needs_door(module_path):
        return None
    found: pytest.Module = _WithoutDoor.from_parent(parent, path=module_path)
    return found


@pytest.fixture(scope="module", params=["grpcio", "native"])
def each_door(request: pytest.FixtureRequest) -> Iterator[None]:
    """The test, once for each door that hot methods can be called at; see `serving`."""
    if request.param == "grpcio":
        yield
        return
    if not HAS_DOOR:
        pytest.skip(NO_DOOR)
    with by_native_door():
        yield


SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data; without it the test is skipped."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"the real data is not at {SHARED_DATA}")
    return SHARED_DATA
