from collections.abc import Sequence

def run(
    steps: Sequence[tuple[int, str] | tuple[int, str, int] | tuple[int, str, int, int]],
) -> list[list[int]]: ...
