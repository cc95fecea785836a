"""The fuzzers find nothing, and would find something if there were anything."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).parent / "fuzz"
CORPUS = FUZZ / "corpus"
FOUND = 77  # libFuzzer's exit status

needs_atheris = pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="atheris has no wheel for this Python"
)
each_target = pytest.mark.parametrize("target", ["wire", "frames"])


def fuzz(
    target: str, folder: Path, *, runs: int, canary: bool
) -> "subprocess.CompletedProcess[str]":
    """Run a fuzzer on its corpus; what it finds goes into `folder`."""
    options = [f"-runs={runs}", "-seed=1", "-max_len=256", "-reduce_inputs=0"]
    options.append(f"-artifact_prefix={folder}/")
    return subprocess.run(
        [
            sys.executable,
            str(FUZZ / f"fuzz_{target}.py"),
            *options,
            str(folder),
            str(CORPUS / target),
        ],
        env={**os.environ, "FENDAN_FUZZ_CANARY": str(int(canary))},
        capture_output=True,
        text=True,
        check=False,
    )


@needs_atheris
@each_target
def test_the_fuzzer_finds_no_bytes_that_are_read_otherwise_than_by_the_judge(
    target: str, tmp_path: Path
) -> None:
    run = fuzz(target, tmp_path, runs=20_000, canary=False)
    assert run.returncode == 0, run.stderr[-3000:]
    assert "Done 20000 runs" in run.stderr
    assert not list(tmp_path.glob("crash-*"))


@needs_atheris
@each_target
def test_the_fuzzer_finds_a_bug_that_was_planted(target: str, tmp_path: Path) -> None:
    run = fuzz(target, tmp_path, runs=200_000, canary=True)
    assert run.returncode == FOUND, run.stderr[-3000:]
    assert "AssertionError" in run.stdout + run.stderr
    assert list(tmp_path.glob("crash-*"))


def test_the_corpus_is_what_its_script_writes() -> None:
    spec = importlib.util.spec_from_file_location("seeds", FUZZ / "seeds.py")
    assert spec is not None
    assert spec.loader is not None
    seeds = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(seeds)
    assert {folder.name for folder in CORPUS.iterdir()} == set(seeds.SEEDS)
    for target, expected in seeds.SEEDS.items():
        written = {path.name: path.read_bytes() for path in (CORPUS / target).iterdir()}
        assert expected.items() <= written.items()
