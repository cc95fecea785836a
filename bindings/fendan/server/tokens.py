"""The tokens of a server: a file of hashes, and the search for the one that a caller shows.

A token is 256 random bits, so its plain SHA-256 gives nothing away: a slow, salted hash protects
secrets that can be guessed, such as passwords, and would cost every call milliseconds.
"""

import fcntl
import hashlib
import hmac
import json
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, StringConstraints

from fendan.errors import Fault, refuse
from fendan.server import toml
from fendan.server.callers import Caller, Scope

__all__ = ["Token", "Tokens", "new_token", "remove"]

TOKEN_BYTES = 32

# Tools that search commits for secrets know a token by how it begins.
TOKEN_PREFIX = "fendan_"

# As long as any id.
MOST_NAME_CHARACTERS = 255

# What a token is compared with that nobody holds; as long as a hash, and the hash of nothing known.
NOBODY: tuple[bytes, Caller | None] = (bytes(hashlib.sha256().digest_size), None)

HEADER = """\
# The tokens that the server knows, as SHA-256 hashes. `fendan token` writes the file anew with each
# change; other comments than this are not kept.
"""


def _scope(value: object) -> object:
    """A scope by its name; anything else is for pydantic to refuse."""
    names = [scope.value for scope in Scope]
    if isinstance(value, str) and value not in names:
        raise ValueError(f"it must be one of {', '.join(names)}")
    return Scope(value) if isinstance(value, str) else value


class Token(toml.Section):
    """One token, without the token."""

    name: Annotated[str, Field(min_length=1, max_length=MOST_NAME_CHARACTERS)]
    """Who holds it; stands in the log."""
    scope: Annotated[Scope, BeforeValidator(_scope)]
    """How far it reaches."""
    of: Annotated[str, Field(max_length=MOST_NAME_CHARACTERS)] = ""
    """The store id or the region it is for; only of the scopes store and region."""
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    """The hash of the token, in hexadecimal."""

    @property
    def digest(self) -> bytes:
        """The hash."""
        return bytes.fromhex(self.sha256)


class TokenFile(toml.Section):
    """The whole file."""

    token: Annotated[list[Token], Field(default_factory=list)]


class Tokens:
    """The tokens of one file; they do not change while a server runs."""

    def __init__(self, entries: list[Token], *, where: str = "tokens") -> None:
        _check(entries, where)
        self.entries = entries
        self._by_hash = {entry.digest: (entry.digest, _caller(entry)) for entry in entries}

    @classmethod
    def load(cls, path: Path) -> "Tokens":
        """Read a token file. Raises InvalidInputError naming the file and the entry."""
        values = toml.read(path)
        _check_mode(path)
        found = toml.validated(TokenFile, values, where=lambda _key: path.name)
        return cls(found.token, where=path.name)

    @property
    def callers(self) -> dict[bytes, Caller]:
        """Who holds which token, by its hash."""
        return {digest: who for digest, (_, who) in self._by_hash.items()}

    def find(self, bearer: str) -> Caller | None:
        """Who shows this token; None where nobody knows it.

        What is looked up is the hash of what was shown. Nobody can choose a token by its hash, so
        the time of the look-up tells nothing of use, and a chain's thousands of tokens need no walk
        over all of them. The answer rests on one comparison in constant time.
        """
        shown = hashlib.sha256(bearer.encode("utf-8", "replace")).digest()
        known, who = self._by_hash.get(shown, NOBODY)
        return who if hmac.compare_digest(known, shown) else None


def _caller(entry: Token) -> Caller:
    return Caller(name=entry.name, scope=entry.scope, of=entry.of)


# -- THE FILE ----------------------------------------------------------------------------------


def new_token(path: Path, *, name: str, scope: Scope, of: str = "") -> str:
    """Add a token to the file, made where there is none, and return it: nobody can see it again."""
    token = TOKEN_PREFIX + secrets.token_urlsafe(TOKEN_BYTES)
    values = {"name": name, "scope": scope, "of": of, "sha256": _sha256(token)}
    entry = toml.validated(Token, values, where=lambda _key: "")
    with _locked(path):
        entries = Tokens.load(path).entries if path.exists() else []
        if name in [known.name for known in entries]:
            hint = f"{path.name} has a token of that name; revoke it first"
            refuse(Fault.OUT_OF_RANGE, "name", name, hint=hint)
        _check([entry], "")
        _write(path, [*entries, entry])
    return token


def remove(path: Path, *, name: str) -> None:
    """Take the token of this name out of the file."""
    with _locked(path):
        entries = Tokens.load(path).entries
        left = [entry for entry in entries if entry.name != name]
        if len(left) == len(entries):
            refuse(Fault.OUT_OF_RANGE, "name", name, hint=f"{path.name} has no token of that name")
        _write(path, left)


def _sha256(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _check(entries: list[Token], where: str) -> None:
    """What no single key can be wrong about."""
    names: set[str] = set()
    hashes: set[str] = set()
    for index, entry in enumerate(entries):
        at = f"token[{index}]." if where else ""
        for key, text in (("name", entry.name), ("of", entry.of)):
            if not text.isprintable():
                refuse(Fault.BAD_ID, at + key, text, where=where, hint="it must be printable")
        if entry.name in names:
            refuse(Fault.OUT_OF_RANGE, f"{at}name", entry.name, where=where, hint="it came before")
        if entry.sha256 in hashes:
            hint = "another token has this hash"
            refuse(Fault.OUT_OF_RANGE, f"{at}sha256", entry.sha256, where=where, hint=hint)
        if entry.scope.is_bound and not entry.of:
            hint = f"a token of the scope {entry.scope.value} is of one {entry.scope.value}"
            refuse(Fault.MISSING, f"{at}of", where=where, hint=hint)
        if entry.of and not entry.scope.is_bound:
            hint = f"a token of the scope {entry.scope.value} is of no store or region"
            refuse(Fault.OUT_OF_RANGE, f"{at}of", entry.of, where=where, hint=hint)
        names.add(entry.name)
        hashes.add(entry.sha256)


def _check_mode(path: Path) -> None:
    """Who can read the file learns all names; who can write it gives out tokens.

    Its group may read it: so secrets come to a container that does not run as their owner.
    """
    if path.stat().st_mode & (stat.S_IWGRP | stat.S_IXGRP | stat.S_IRWXO):
        hint = f"others than its owner may use it: chmod 600 {path}"
        refuse(Fault.BAD_FILE, "file", str(path), hint=hint)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Change the file alone: of two changes at the same time the second sees the first."""
    try:
        folder = os.open(path.resolve().parent, os.O_RDONLY)
    except OSError as error:
        refuse(Fault.BAD_FILE, "file", str(path), hint=error.strerror or "no such folder")
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _write(path: Path, entries: list[Token]) -> None:
    """Put the new file in the place of the old one, at once, for the owner only."""
    path = path.resolve()
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(HEADER + "".join(map(_entry_text, entries)))
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        refuse(Fault.BAD_FILE, "file", str(path), hint=f"cannot be written: {error.strerror}")
    finally:
        part.unlink(missing_ok=True)


def _entry_text(entry: Token) -> str:
    pairs = {"name": entry.name, "scope": entry.scope.value, "of": entry.of, "sha256": entry.sha256}
    # A JSON string is a TOML string where nothing in it needs two \u.
    lines = [
        f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in pairs.items() if value
    ]
    return "\n[[token]]\n" + "\n".join(lines) + "\n"
