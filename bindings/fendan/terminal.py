"""What every command says to people when it fails: one readable line on standard error."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

from fendan.errors import FendanError

__all__ = ["plain_errors", "say"]


@contextmanager
def plain_errors() -> Iterator[None]:
    """End with one readable line instead of a traceback."""
    try:
        yield
    except KeyboardInterrupt:
        say("interrupted", style="red")
        raise typer.Exit(130) from None
    except FendanError as error:
        say(error.message, style="red")
        raise typer.Exit(2) from None
    except OSError as error:
        text = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        say(text, style="red")
        raise typer.Exit(2) from None


def say(message: str, *, style: str | None = None) -> None:
    """Print one line on standard error, whatever the message holds."""
    line = " ".join(message.splitlines())
    console = Console(stderr=True, markup=False, emoji=False, highlight=False, soft_wrap=True)
    console.print(line, style=style)
