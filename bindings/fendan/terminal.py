"""What every command does for people: one readable line when it fails, a bar while it works.

And no half file: what is written takes its place at the end, or not at all.
"""

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import Progress

from fendan.errors import Fault, FendanError, refuse

__all__ = ["new_file", "plain_errors", "progress_bars", "say", "step"]


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
    line = "".join(one if one.isprintable() else repr(one)[1:-1] for one in line)
    console = Console(stderr=True, markup=False, emoji=False, highlight=False, soft_wrap=True)
    console.print(line, style=style)


def progress_bars() -> Progress:
    """Bars on standard error, and nothing at all where that is not a terminal."""
    console = Console(stderr=True)
    return Progress(console=console, disable=not console.is_terminal)


@contextmanager
def step(progress: Progress, what: str) -> Iterator[None]:
    """A task whose length nobody knows."""
    task = progress.add_task(what, total=None)
    yield
    progress.update(task, total=1, completed=1)


@contextmanager
def new_file(
    path: Path, suffixes: Collection[str] = (), unlike: tuple[Path, ...] = ()
) -> Iterator[Path]:
    """A file beside `path` to write to, which takes its place at the end, or else is removed."""
    path = path.resolve()
    if suffixes and path.suffix.lower() not in suffixes:
        hint = f"the name must end in {' or '.join(suffixes)}"
        refuse(Fault.BAD_FILE, "--out", str(path), hint=hint)
    if path.exists() and not path.is_file():
        refuse(Fault.DISK, "--out", path, hint="there is something else of that name")
    if path in [other.resolve() for other in unlike]:
        refuse(Fault.BAD_FILE, "--out", str(path), hint="it is one of the files to be read")
    part = path.with_name(f".fendan.{os.getpid()}.{path.name}.part")
    try:
        part.touch()
        yield part
        part.replace(path)
    except FendanError:  # some are OSErrors, too
        raise
    except OSError as error:
        if error.filename not in (None, str(part)):
            raise
        refuse(Fault.DISK, "--out", path, hint=error.strerror or str(error))
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
