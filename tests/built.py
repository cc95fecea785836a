"""What this build has: the native door is left out where its libraries are not."""

import ast
from importlib.util import find_spec
from pathlib import Path

__all__ = ["DOOR", "HAS_DOOR", "NO_DOOR", "is_built", "needs_door"]

ROOT = Path(__file__).resolve().parents[1]


def _door() -> frozenset[str]:
    """Its modules, as setup.py names them, which cannot be imported."""
    for node in ast.parse((ROOT / "setup.py").read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "DOOR":
            return frozenset(eval(ast.unparse(node.value)))
    raise AssertionError("setup.py names no modules of the native door")


DOOR = _door()
HAS_DOOR = find_spec("fendan.engine.door") is not None
NO_DOOR = "this build has no native door (see CONTRIBUTING.md)"


def is_built(module: str) -> bool:
    """Whether there has to be this module of the engine."""
    return HAS_DOOR or module not in DOOR


def needs_door(test: Path) -> bool:
    """Whether a module of tests could not even be imported without the door."""
    tree = ast.parse(test.read_text())
    used = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    # What tests share for it has nothing to do without it, either.
    return not used.isdisjoint({f"fendan.engine.{module}" for module in DOOR} | {"door_client"})
