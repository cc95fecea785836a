"""What a packager, an embedder and a newcomer do with the sources, done for real."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

from built import DOOR, HAS_DOOR, NO_DOOR, is_built

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted(source.stem for source in (ROOT / "engine").glob("*.pyx"))
SUFFIX = sysconfig.get_config_var("EXT_SUFFIX")
SERVICES = sorted(proto.stem for proto in (ROOT / "proto").rglob("*.proto"))

pytestmark = pytest.mark.build


def run(*command: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command and show what it said when it fails."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        print(done.stdout[-4000:], done.stderr[-4000:])
    return done


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """An sdist of this checkout, and the wheel that is built from the sdist alone."""
    target = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(target)]
    assert run(*build, str(ROOT), cwd=target).returncode == 0
    (sdist,) = target.glob("*.tar.gz")
    (wheel,) = target.glob("*.whl")
    return {"sdist": sdist, "wheel": wheel}


def test_the_sdist_carries_the_sources_of_the_engine(distributions: dict[str, Path]) -> None:
    with tarfile.open(distributions["sdist"]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for module in MODULES:
        assert f"bindings/fendan/engine/{module}.pyx" in names
    assert "bindings/fendan/engine/near.h" in names
    assert {f"proto/fendan/v1/{service}.proto" for service in SERVICES} <= names
    assert not [name for name in names if name.endswith((".so", ".c"))]


def test_the_wheel_carries_the_compiled_engine_its_types_and_its_pxd(
    distributions: dict[str, Path],
) -> None:
    with zipfile.ZipFile(distributions["wheel"]) as archive:
        names = set(archive.namelist())
    for module in MODULES:
        for end in (SUFFIX, ".pxd", ".pyi") if is_built(module) else (".pxd", ".pyi"):
            assert f"fendan/engine/{module}{end}" in names
    for service in SERVICES:
        for end in ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py"):
            assert f"fendan/v1/{service}{end}" in names
    assert "fendan/server/app.py" in names
    assert "fendan/py.typed" in names
    assert "fendan/engine/__init__.pxd" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_wheel_works_where_the_checkout_is_not(
    distributions: dict[str, Path], tmp_path: Path
) -> None:
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    wheel = str(distributions["wheel"])
    assert run(*install, "--target", str(tmp_path), wheel, cwd=tmp_path).returncode == 0
    code = """
import asyncio, fendan, fendan.engine.router as router
from fendan.server import logs
from fendan.server.app import Server
from fendan.server.config import Config

engine = fendan.Engine()
engine.add_stores([fendan.Store(id="S1", lat=31.23, lng=121.47)])
engine.set_stock([("S1", "SKU1", 1)])
order = fendan.Order(id="O1", lat=31.2, lng=121.5, lines=[("SKU1", 1)])

logs.configure("console", "warning")

async def over_grpc():
    async with await Server.start(Config.load(None, {"listen": "127.0.0.1:0"}), engine) as server:
        async with fendan.aio.Client(f"127.0.0.1:{server.port}") as client:
            return await client.route(order)

print(router.__file__, asyncio.run(over_grpc()).store_id)
"""
    done = run(sys.executable, "-c", code, cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode == 0
    path, store_id = done.stdout.split()
    assert Path(path).is_relative_to(tmp_path)
    assert store_id == "S1"


@pytest.mark.parametrize("command", ["serve --door 50052", "config check server.toml"])
def test_where_the_door_was_not_built_the_command_says_how_to_get_it(
    distributions: dict[str, Path], tmp_path: Path, command: str
) -> None:
    with zipfile.ZipFile(distributions["wheel"]) as archive:
        theirs = {f"fendan/engine/{module}{SUFFIX}" for module in DOOR}
        archive.extractall(tmp_path, set(archive.namelist()) - theirs)
    (tmp_path / "server.toml").write_text("[door]\nlisten = '50052'\n")
    fendan = [sys.executable, "-m", "fendan.cli", *command.split()]
    done = run(*fendan, cwd=tmp_path, PYTHONPATH=str(tmp_path), XDG_DATA_HOME=str(tmp_path))
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("door.listen: missing; ")
    for word in ("libnghttp2-dev", "libnghttp2-devel", "macOS"):
        assert word in line


def test_a_build_without_the_door_says_so_in_one_line(tmp_path: Path) -> None:
    engine = _checkout(tmp_path)
    for module in ("fault", "door"):
        (engine / f"{module}.pyx").write_text("ANSWER = 42\n")
    build = (sys.executable, "setup.py", "--quiet", "build_ext", "--inplace")
    done = run(*build, cwd=tmp_path, FENDAN_DOOR="0")
    assert done.returncode == 0
    assert [line for line in done.stdout.splitlines() if "native door" in line] == [
        "no native door: pkg-config finds no libnghttp2 and openssl (see CONTRIBUTING.md)"
    ]
    assert (engine / f"fault{SUFFIX}").exists()
    assert not (engine / f"door{SUFFIX}").exists()


@pytest.mark.skipif(not HAS_DOOR, reason=NO_DOOR)
def test_a_build_that_finds_the_libraries_has_the_door(tmp_path: Path) -> None:
    engine = _checkout(tmp_path)
    (engine / "door.pyx").write_text("ANSWER = 42\n")
    done = run(sys.executable, "setup.py", "build_ext", "--inplace", cwd=tmp_path, FENDAN_DOOR="1")
    assert done.returncode == 0
    assert "native door" not in done.stdout
    assert (engine / f"door{SUFFIX}").exists()


THIRD_PARTY = '''
# cython: language_level=3
from libc.math cimport INFINITY
from libc.stdint cimport int32_t
from fendan.engine.geo cimport EARTH_RADIUS_M, Place, Sketch, distance_between_m, set_place
from fendan.engine.router cimport STATUS_ASSIGNED, Verdict, route_one
from fendan.engine.stock cimport Basket, Stock


def quarter_of_the_equator_m():
    cdef Place a, b
    cdef Sketch sketch
    with nogil:
        set_place(&a, &sketch, 0.0, 0.0)
        set_place(&b, &sketch, 0.0, 90.0)
    return distance_between_m(&a, &b), EARTH_RADIUS_M


def sell_out(Stock stock, double lat, double lng, int32_t sku):
    """Route one-piece orders without the GIL until nobody has any; where each one went."""
    cdef int32_t quantity = 1
    cdef Basket basket
    cdef Verdict verdict
    basket.skus, basket.quantities, basket.line_count = &sku, &quantity, 1
    basket.amounts = NULL
    went = []
    while True:
        with nogil:
            verdict = route_one(&stock.network.layout.leaves, &stock.shelves, lat, lng, &basket,
                                INFINITY, NULL, NULL)
        if verdict.status != STATUS_ASSIGNED:
            return went
        went.append(verdict.store)
'''

THIRD_PARTY_USE = """
import numpy as np
from fendan.engine.network import Network, points_of
from fendan.engine.stock import Stock
import theirs

metres, radius = theirs.quarter_of_the_equator_m()
assert abs(metres - radius * np.pi / 2) < 1e-6, metres
stock = Stock(Network())
places = points_of(np.array([31.2, 31.3]), np.array([121.5, 121.5]))
stock.adopt(stock.network.layout.grown(*places, ["A", "B"]), ["A", "B"], ["", ""])
codes = np.array([0, 1], dtype=np.int32)
stock.set_on_hand(codes, np.zeros(2, dtype=np.int32), np.array([2, 1], dtype=np.int32), ["K"])
print(theirs.sell_out(stock, 31.21, 121.5, 0))
"""


def test_a_third_party_can_cimport_the_engine(tmp_path: Path) -> None:
    """Compiled against the installed package and run; this never skips."""
    (tmp_path / "theirs.pyx").write_text(THIRD_PARTY)
    compiled = run("cythonize", "-i", "theirs.pyx", cwd=tmp_path, PATH=_path_of_this_python())
    assert compiled.returncode == 0
    used = run(sys.executable, "-c", THIRD_PARTY_USE, cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert used.returncode == 0
    assert used.stdout.strip() == "[0, 0, 1]"


def test_a_performance_hint_stops_the_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A cache remembers that it was translated, not that it was refused.
    monkeypatch.delenv("CYTHON_CACHE_DIR", raising=False)
    hinted = (
        "cdef void touch() nogil:\n    pass\n\n\ncdef void use() noexcept nogil:\n    touch()\n"
    )
    engine = _checkout(tmp_path)
    (engine / "hinted.pyx").write_text(hinted)
    (engine / "calm.pyx").write_text("ANSWER = 42\n")  # two are translated side by side
    done = run(sys.executable, "setup.py", "build_ext", "--inplace", cwd=tmp_path)
    assert done.returncode != 0
    assert "performance hint" in done.stdout + done.stderr


def test_a_build_without_the_engine_is_refused(tmp_path: Path) -> None:
    _checkout(tmp_path)
    done = run(sys.executable, "setup.py", "build_ext", "--inplace", cwd=tmp_path)
    assert done.returncode != 0
    assert "is the symlink to engine/ missing?" in done.stderr


def test_a_build_without_the_services_is_refused(tmp_path: Path) -> None:
    _checkout(tmp_path)
    shutil.rmtree(tmp_path / "proto")
    done = run(sys.executable, "setup.py", "build_ext", "--inplace", cwd=tmp_path)
    assert done.returncode != 0
    assert "no .proto in proto" in done.stderr


def _checkout(folder: Path) -> Path:
    """A checkout with the build files and an empty engine; returns the engine's folder."""
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "proto", folder / "proto")
    engine = folder / "bindings" / "fendan" / "engine"
    engine.mkdir(parents=True)
    for package in (engine, engine.parent):
        (package / "__init__.py").touch()
    return engine


def _path_of_this_python() -> str:
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
