"""Tokens are given out once, kept as hashes, and taken back."""

import hashlib
import os
import threading
import tomllib
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from fendan.errors import FendanError, FileFormatError, InvalidInputError
from fendan.server import tokens
from fendan.server.callers import Caller, Scope
from fendan.server.commands import token_app
from fendan.server.tokens import Token, Tokens, new_token, remove

HASH = hashlib.sha256(b"x").hexdigest()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tokens.toml"


def written(file: Path, text: str) -> Path:
    file.write_text(text, encoding="utf-8")
    file.chmod(0o600)
    return file


def mode(file: Path) -> int:
    return file.stat().st_mode & 0o777


def names(file: Path) -> list[str]:
    return [entry.name for entry in Tokens.load(file).entries]


# -- GIVING AND KNOWING ------------------------------------------------------------------------


def test_whoever_shows_a_token_is_known_by_it(file: Path) -> None:
    store = new_token(file, name="Nanjing Road", scope=Scope.STORE, of="S1")
    ingest = new_token(file, name="meituan", scope=Scope.INGEST)
    known = Tokens.load(file)
    assert known.find(store) == Caller(name="Nanjing Road", scope=Scope.STORE, of="S1")
    assert known.find(ingest) == Caller(name="meituan", scope=Scope.INGEST, of="")


def test_nobody_is_known_by_anything_else(file: Path) -> None:
    token = new_token(file, name="a", scope=Scope.INGEST)
    known = Tokens.load(file)
    digest = hashlib.sha256(token.encode()).hexdigest()
    wrong = [
        "",
        token[:-1],
        token + "x",
        token.upper(),
        f" {token}",
        digest,
        "店",
        "\ud800",
        "\x00",
    ]
    assert [known.find(shown) for shown in wrong] == [None] * len(wrong)
    assert Tokens([]).find(token) is None


def test_the_hash_that_stands_for_nobody_is_nobody() -> None:
    assert tokens.NOBODY[1] is None
    assert Tokens([]).find("") is None


def test_a_token_is_256_random_bits_and_never_the_same(file: Path) -> None:
    given_out = {new_token(file, name=str(index), scope=Scope.INGEST) for index in range(20)}
    assert len(given_out) == 20
    assert all(token.startswith("fendan_") and len(token) == 7 + 43 for token in given_out)


def test_the_file_holds_hashes_and_no_token(file: Path) -> None:
    token = new_token(file, name="a", scope=Scope.HEADQUARTERS)
    text = file.read_text(encoding="utf-8")
    assert token not in text
    assert token.removeprefix("fendan_") not in text
    assert hashlib.sha256(token.encode()).hexdigest() in text


def test_the_file_is_its_owners_alone_and_nothing_is_left_beside_it(file: Path) -> None:
    mask = os.umask(0)
    try:
        new_token(file, name="a", scope=Scope.INGEST)
        assert mode(file) == 0o600
        new_token(file, name="b", scope=Scope.INGEST)
        remove(file, name="a")
    finally:
        os.umask(mask)
    assert mode(file) == 0o600
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_revoked_token_is_not_known_any_more_and_others_are(file: Path) -> None:
    first = new_token(file, name="a", scope=Scope.INGEST)
    second = new_token(file, name="b", scope=Scope.INGEST)
    remove(file, name="a")
    assert Tokens.load(file).find(first) is None
    assert Tokens.load(file).find(second) is not None
    assert new_token(file, name="a", scope=Scope.INGEST) != first


def test_tokens_made_at_the_same_time_are_all_kept(file: Path) -> None:
    makers = [
        threading.Thread(target=new_token, args=(file,), kwargs={"name": n, "scope": Scope.INGEST})
        for n in "abcdefgh"
    ]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    assert sorted(names(file)) == list("abcdefgh")


@given(st.text(min_size=1, max_size=255).filter(str.isprintable))
@example('门店 "南京西路" \\ [x] 😀 #\'')
def test_any_printable_name_comes_back_from_the_file(name: str) -> None:
    entry = Token(name=name, scope=Scope.STORE, of=name, sha256=HASH)
    text = tokens._entry_text(entry)
    assert tomllib.loads(text)["token"] == [
        {"name": name, "scope": "store", "of": name, "sha256": HASH}
    ]


def test_a_file_behind_a_link_is_changed_where_it_is(tmp_path: Path, file: Path) -> None:
    (tmp_path / "secrets").mkdir()
    file.symlink_to(tmp_path / "secrets" / "real.toml")
    new_token(file, name="a", scope=Scope.INGEST)
    assert file.is_symlink()
    assert names(tmp_path / "secrets" / "real.toml") == ["a"]


# -- REFUSALS ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "scope", "of", "field"),
    [
        ("a", Scope.INGEST, "", "name"),
        ("", Scope.INGEST, "", "name"),
        ("x" * 256, Scope.INGEST, "", "name"),
        ("line\nbreak", Scope.INGEST, "", "name"),
        ("b", Scope.STORE, "", "of"),
        ("b", Scope.REGION, "", "of"),
        ("b", Scope.INGEST, "S1", "of"),
        ("b", Scope.HEADQUARTERS, "S1", "of"),
        ("b", Scope.SETTLEMENT, "S1", "of"),
        ("b", Scope.STORE, "S\x7f1", "of"),
    ],
)
def test_a_token_that_makes_no_sense_is_refused_and_the_file_stays(
    file: Path, name: str, scope: Scope, of: str, field: str
) -> None:
    new_token(file, name="a", scope=Scope.INGEST)
    before = file.read_bytes()
    with pytest.raises(InvalidInputError) as caught:
        new_token(file, name=name, scope=scope, of=of)
    assert caught.value.field == field
    assert file.read_bytes() == before


ENTRY = f'[[token]]\nname = "a"\nscope = "ingest"\nsha256 = "{HASH}"\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (ENTRY + ENTRY, "token[1].name"),
        (ENTRY + ENTRY.replace('"a"', '"b"'), "token[1].sha256"),
        (
            ENTRY.replace("ingest", "owner"),
            "store, region, headquarters, ingest, settlement, exceptions",
        ),
        (ENTRY.replace("ingest", "store"), "token[0].of"),
        (ENTRY + 'of = "S1"\n', "token[0].of"),
        (ENTRY.replace(HASH, HASH.upper()), "token[0].sha256"),
        (ENTRY.replace(HASH, HASH[1:]), "token[0].sha256"),
        (ENTRY.replace(f'"{HASH}"', "5"), "token[0].sha256"),
        (ENTRY.replace("name", "nmae"), "token[0].name"),
        (ENTRY + "expires = 5\n", "token[0].expires"),
        (ENTRY + "shà256 = 5\n", "it is not TOML"),
        ("[token]\nname = 'a'\n", "token: wrong type"),
        ("[[tokens]]\nname = 'a'\n", "did you mean token?"),
        ("name = 'a'\n", "did you mean token.name?"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused_by_name(file: Path, text: str, said: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        Tokens.load(written(file, text))
    assert "tokens.toml" in str(caught.value)
    assert said in str(caught.value)


def test_an_empty_file_knows_nobody(file: Path) -> None:
    assert Tokens.load(written(file, "")).entries == []


@pytest.mark.parametrize("others", [0o604, 0o620, 0o602, 0o644, 0o660])
def test_a_file_that_others_may_use_is_refused(file: Path, others: int) -> None:
    new_token(file, name="a", scope=Scope.INGEST)
    file.chmod(others)
    with pytest.raises(FileFormatError, match="chmod 600"):
        Tokens.load(file)
    with pytest.raises(FileFormatError, match="chmod 600"):
        new_token(file, name="b", scope=Scope.INGEST)
    assert mode(file) == others


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(FileFormatError) as caught:
            Tokens.load(path)
        assert str(path) in str(caught.value)
    with pytest.raises(FileFormatError, match="No such file"):
        new_token(tmp_path / "no folder" / "tokens.toml", name="a", scope=Scope.INGEST)


# -- THE COMMANDS ------------------------------------------------------------------------------


def command(*words: object) -> Result:
    return CliRunner().invoke(token_app, [str(word) for word in words])


def new(file: Path, name: str, scope: str, *more: str) -> Result:
    return command("new", "--name", name, "--scope", scope, "--file", file, *more)


def test_the_command_prints_the_token_and_nothing_else_on_standard_output(file: Path) -> None:
    result = new(file, "S1 till", "store", "--of", "S1")
    assert result.exit_code == 0
    token = result.stdout.removesuffix("\n")
    assert Tokens.load(file).find(token) == Caller(name="S1 till", scope=Scope.STORE, of="S1")
    assert token not in result.stderr
    assert "cannot be shown again" in result.stderr


def test_the_command_lists_names_and_scopes_and_no_hash(file: Path) -> None:
    new(file, "till [bold]", "store", "--of", "S1")
    new(file, "meituan", "ingest")
    result = command("list", "--file", file)
    assert result.exit_code == 0
    for word in ("till [bold]", "store", "S1", "meituan", "ingest"):
        assert word in result.stdout
    assert all(entry.sha256[:8] not in result.stdout for entry in Tokens.load(file).entries)


def test_the_command_takes_a_token_back(file: Path) -> None:
    new(file, "a", "ingest")
    assert command("revoke", "--name", "a", "--file", file).exit_code == 0
    assert names(file) == []


@pytest.mark.parametrize(
    "words",
    [
        ("new", "--name", "a", "--scope", "ingest"),
        ("new", "--name", "b", "--scope", "store"),
        ("new", "--name", "b", "--scope", "owner"),
        ("revoke", "--name", "b"),
    ],
)
def test_a_command_that_is_refused_says_why_in_a_line_and_changes_nothing(
    file: Path, words: tuple[str, ...]
) -> None:
    new(file, "a", "ingest")
    before = file.read_bytes()
    result = command(*words, "--file", file)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert file.read_bytes() == before


def test_a_list_of_no_file_is_refused_in_a_line(file: Path) -> None:
    result = command("list", "--file", file)
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert "tokens.toml" in result.stderr


def test_errors_of_tokens_are_errors_of_this_package(file: Path) -> None:
    with pytest.raises(FendanError):
        remove(file, name="a")
