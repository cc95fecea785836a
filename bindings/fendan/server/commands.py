"""`fendan config` and `fendan token`: what is set up before `fendan serve`.

The server's libraries are imported where they are needed: the command line works without them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fendan.server.callers import Scope
from fendan.terminal import plain_errors, say

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["config_app", "needing_server_libraries", "token_app"]

config_app = typer.Typer(
    no_args_is_help=True, help="Check a server's settings, or begin with some."
)
token_app = typer.Typer(no_args_is_help=True, help="Give out tokens, and take them back.")

TokenPath = Annotated[Path, typer.Option("--file", help="The token file, such as tokens.toml.")]


@contextmanager
def needing_server_libraries() -> Iterator[None]:
    """Errors as one line; also where a library of the server is not installed."""
    try:
        with plain_errors():
            yield
    except ModuleNotFoundError as error:
        say(f"{error.name} is not installed: pip install 'fendan[server]'", style="red")
        raise typer.Exit(2) from None


# -- CONFIG ------------------------------------------------------------------------------------


@config_app.command("check")
def check_config(
    file: Annotated[Path, typer.Argument(help="A TOML file; `fendan config show` prints one.")],
) -> None:
    """Check all that can be checked before the server runs, and print the settings in effect."""
    with needing_server_libraries():
        from fendan.server import settings, tls
        from fendan.server.config import Config
        from fendan.server.tokens import Tokens

        config = Config.load(file)
        config.check_build()
        tls.check(config.tls)
        if config.tokens is not None:
            Tokens.load(config.tokens)
        typer.echo(f"{file}: good")
        _show(settings.table(config))


@config_app.command("show")
def show_config() -> None:
    """Print all settings with their defaults, as a file to begin with."""
    with needing_server_libraries():
        from fendan.server import settings

        typer.echo(settings.template(), nl=False)


# -- TOKENS ------------------------------------------------------------------------------------


@token_app.command("new")
def new_token(
    *,
    name: Annotated[str, typer.Option(help="Who will hold it; stands in the log.")],
    scope: Annotated[Scope, typer.Option(help="How far it reaches.", case_sensitive=False)],
    of: Annotated[
        str, typer.Option(help="The store id or the region, for the scopes store and region.")
    ] = "",
    file: TokenPath,
) -> None:
    """Make a token, print it this once, and add its hash to the file."""
    with needing_server_libraries():
        from fendan.server import tokens

        typer.echo(tokens.new_token(file, name=name, scope=scope, of=of))
        say(f"{file} has its hash; the token itself cannot be shown again")


@token_app.command("list")
def list_tokens(*, file: TokenPath) -> None:
    """Print who has a token, and how far it reaches."""
    with needing_server_libraries():
        from rich.table import Table

        from fendan.server.tokens import Tokens

        table = Table("name", "scope", "of")
        for entry in Tokens.load(file).entries:
            table.add_row(_plain(entry.name), entry.scope.value, _plain(entry.of))
        _show(table)


@token_app.command("revoke")
def revoke_token(
    *,
    name: Annotated[str, typer.Option(help="Whose token.")],
    file: TokenPath,
) -> None:
    """Take a token out of the file; a server that runs knows it until it is started again."""
    with needing_server_libraries():
        from fendan.server import tokens

        tokens.remove(file, name=name)
        say(f"{file}: the token {name!r} is revoked; restart the servers that read it")


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)


def _show(table: "Table") -> None:
    from fendan.report import show

    show(table)
