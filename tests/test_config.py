"""A server is told what to do by a file that is checked whole before anything happens."""

import itertools
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from typer.testing import CliRunner, Result

from fendan import Datum
from fendan.errors import FileFormatError, InvalidInputError
from fendan.server import settings, toml
from fendan.server.callers import Scope
from fendan.server.commands import config_app
from fendan.server.config import Config
from fendan.server.tokens import new_token

MIB = 1024 * 1024


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with files for every setting that names one."""
    for name in (
        "server.pem",
        "server.key",
        "clients.pem",
        "stores.csv",
        "stock.csv",
        "intake.toml",
    ):
        (tmp_path / name).touch()
    new_token(tmp_path / "tokens.toml", name="a", scope=Scope.INGEST)
    return tmp_path


def load(folder: Path, text: str, **overrides: object) -> Config:
    file = folder / "server.toml"
    file.write_text(text, encoding="utf-8")
    dotted = {key.replace("__", "."): value for key, value in overrides.items()}
    return Config.load(file, dotted)


def refusal(folder: Path, text: str, **overrides: object) -> InvalidInputError:
    with pytest.raises(InvalidInputError) as caught:
        load(folder, text, **overrides)
    assert "\n" not in str(caught.value)
    return caught.value


# -- WHAT IS IN EFFECT -------------------------------------------------------------------------


def test_without_a_file_the_defaults_are_in_effect() -> None:
    config = Config.load()
    assert config.listen == "127.0.0.1:50051"
    assert (config.insecure_bind, config.tokens, config.drain_s) == (False, None, 10.0)
    assert config.limits.message_bytes == 16 * MIB
    assert config.limits.concurrent_streams == 1_000
    assert config.limits.queue_requests == 20_000
    assert config.limits.queue_bytes == 256 * MIB
    assert config.limits.orders_per_request == 100_000
    assert config.data.remembered_orders == 1_000_000
    assert config.data.datum is Datum.WGS84
    assert (config.data.folder, config.data.durability) == (None, "sync")
    assert config.data.snapshot_bytes == 256 * MIB
    assert config.orders.reservation_timeout_s is None
    assert (config.orders.most_attempts, config.orders.cool_down_s) == (3, 1_800.0)
    assert (config.metrics.listen, config.tracing.enabled) == (None, False)
    assert (config.door.listen, config.door.connections) == (None, 10_000)
    assert (config.log.format, config.log.level, config.log.orders) == ("console", "info", "none")


def test_an_empty_file_says_nothing(folder: Path) -> None:
    assert load(folder, "") == Config.load()


def test_a_file_changes_what_it_names_and_leaves_the_rest(folder: Path) -> None:
    text = "drain_s = 3\n[limits]\nqueue_requests = 7\n[data]\ndatum = 'GCJ-02'\nradius_m = 3000\n"
    config = load(folder, text)
    assert config.drain_s == 3.0
    assert config.limits.queue_requests == 7
    assert config.limits.message_bytes == 16 * MIB
    assert config.data.datum is Datum.GCJ02
    assert config.data.radius_m == 3_000.0


@pytest.mark.parametrize("written", ["GCJ-02", "gcj02", "Gcj-02"])
def test_a_datum_may_be_written_as_people_do(folder: Path, written: str) -> None:
    assert load(folder, f"data.datum = '{written}'").data.datum is Datum.GCJ02


def test_paths_in_the_file_start_from_its_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    config = load(folder, "[data]\nstores = 'stores.csv'\n")
    assert config.data.stores == folder / "stores.csv"
    absolute = load(folder, f"[data]\nstores = '{folder}/stores.csv'\n")
    assert absolute == config


def test_the_folder_of_the_journal_need_not_be_there_yet(folder: Path) -> None:
    config = load(folder, "[data]\nfolder = 'journal'\n")
    assert config.data.folder == folder / "journal"
    assert not config.data.folder.exists()


def test_paths_of_flags_start_from_the_current_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "stores.csv").touch()
    monkeypatch.chdir(elsewhere)
    config = load(folder, "[data]\nstores = 'stores.csv'\n", data__stores=Path("stores.csv"))
    assert config.data.stores == elsewhere / "stores.csv"
    assert Config.load(None, {"data.stores": Path("stores.csv")}) == config


def test_a_flag_wins_over_the_file_and_one_that_is_not_given_does_not(folder: Path) -> None:
    text = "listen = '127.0.0.1:1'\n[limits]\nqueue_requests = 7\nconcurrent_streams = 8\n"
    flags = {"limits__queue_requests": 9, "limits__concurrent_streams": None}
    config = load(folder, text, **flags, data__datum=Datum.BD09, listen="127.0.0.1:2")
    assert (config.limits.queue_requests, config.limits.concurrent_streams) == (9, 8)
    assert (config.listen, config.data.datum) == ("127.0.0.1:2", Datum.BD09)


def test_settings_do_not_change_while_the_server_runs() -> None:
    config = Config.load()
    with pytest.raises(ValidationError):
        config.limits.queue_requests = 1


# -- WHAT IS REFUSED ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "field", "value", "code"),
    [
        ("drain_s = -1", "drain_s", -1, "OUT_OF_RANGE"),
        ("drain_s = nan", "drain_s", None, "OUT_OF_RANGE"),
        ("drain_s = inf", "drain_s", float("inf"), "OUT_OF_RANGE"),
        ("drain_s = '10'", "drain_s", "10", "WRONG_TYPE"),
        ("drain_s = true", "drain_s", True, "WRONG_TYPE"),
        ("insecure_bind = 1", "insecure_bind", 1, "WRONG_TYPE"),
        ("insecure_bind = 'yes'", "insecure_bind", "yes", "WRONG_TYPE"),
        ("limits.queue_requests = 0", "limits.queue_requests", 0, "OUT_OF_RANGE"),
        ("limits.queue_requests = 1.5", "limits.queue_requests", 1.5, "WRONG_TYPE"),
        ("limits.queue_requests = true", "limits.queue_requests", True, "WRONG_TYPE"),
        ("limits.queue_requests = [1]", "limits.queue_requests", [1], "WRONG_TYPE"),
        ("limits.message_bytes = 10", "limits.message_bytes", 10, "OUT_OF_RANGE"),
        ("limits.message_bytes = 2147483648", "limits.message_bytes", 2**31, "OUT_OF_RANGE"),
        (
            "limits.orders_per_request = 100001",
            "limits.orders_per_request",
            100_001,
            "OUT_OF_RANGE",
        ),
        ("limits = 5", "limits", 5, "WRONG_TYPE"),
        ("data.datum = 'WGS-72'", "data.datum", "WGS-72", "OUT_OF_RANGE"),
        ("data.datum = 3", "data.datum", 3, "WRONG_TYPE"),
        ("data.radius_m = -0.5", "data.radius_m", -0.5, "OUT_OF_RANGE"),
        ("data.encoding = 'klingon'", "data.encoding", "klingon", "OUT_OF_RANGE"),
        ("data.folder = ''", "data.folder", "", "WRONG_TYPE"),
        ("data.durability = 'maybe'", "data.durability", "maybe", "OUT_OF_RANGE"),
        ("data.snapshot_bytes = -1", "data.snapshot_bytes", -1, "OUT_OF_RANGE"),
        ("orders.reservation_timeout_s = 0", "orders.reservation_timeout_s", 0, "OUT_OF_RANGE"),
        ("orders.most_attempts = 0", "orders.most_attempts", 0, "OUT_OF_RANGE"),
        ("orders.most_attempts = 101", "orders.most_attempts", 101, "OUT_OF_RANGE"),
        ("orders.cool_down_s = -1", "orders.cool_down_s", -1, "OUT_OF_RANGE"),
        ("data.stores = 5", "data.stores", 5, "WRONG_TYPE"),
        ("data.stores = ''", "data.stores", "", "WRONG_TYPE"),
        ("data.stores = 'none.csv'", "data.stores", "none.csv", "BAD_FILE"),
        ("data.stores = '.'", "data.stores", ".", "BAD_FILE"),
        ("tokens = 'none.toml'", "tokens", "none.toml", "BAD_FILE"),
        ("tls.certificate = 'none.pem'", "tls.certificate", "none.pem", "BAD_FILE"),
        ("log.level = 'loud'", "log.level", "loud", "OUT_OF_RANGE"),
        ("log.format = 'xml'", "log.format", "xml", "OUT_OF_RANGE"),
        ("log.orders = true", "log.orders", True, "OUT_OF_RANGE"),
        ("tracing.endpoint = ''", "tracing.endpoint", "", "OUT_OF_RANGE"),
        ("metrics.listen = 'unix:/tmp/x'", "metrics.listen", "unix:/tmp/x", "OUT_OF_RANGE"),
        ("keepalive.time_s = 0", "keepalive.time_s", 0, "OUT_OF_RANGE"),
        ("drian_s = 5", "drian_s", 5, "BAD_FILE"),
    ],
)
def test_a_setting_that_is_wrong_is_refused_by_file_key_and_value(
    folder: Path, text: str, field: str, value: object, code: str
) -> None:
    error = refusal(folder, text)
    assert (error.field, error.code) == (field, code)
    assert "nan" in text or str(error.value) == str(value)
    assert str(error).startswith(f"server.toml: {field}: ")
    assert error.hint


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("drain = 5", "drain_s"),
        ("limits.queue_request = 5", "limits.queue_requests"),
        ("limit.queue_requests = 5", "limits"),
        ("queue_requests = 5", "limits.queue_requests"),
        ("limits.drain_s = 5", "drain_s"),
        ("tls.cert = 'x'", "tls.certificate"),
        ("[tls.certificate2]\nx = 1", "tls.certificate"),
    ],
)
def test_an_unknown_key_is_refused_with_the_one_that_may_be_meant(
    folder: Path, text: str, meant: str
) -> None:
    error = refusal(folder, text)
    assert error.code == "BAD_FILE"
    assert error.hint == f"there is no such key; did you mean {meant}?"


def test_an_unknown_key_like_no_other_is_refused_without_a_guess(folder: Path) -> None:
    assert refusal(folder, "zzz = 5").hint == "there is no such key"


@pytest.mark.parametrize(
    "address",
    ["", "127.0.0.1", ":50051", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:5o",
     "127.0.0.1:1\n", "127.0.0.1:１", "::1:50051", "a b:1", "a:1,b:1", "dns:///x:1", "unix:"],
)  # fmt: skip
def test_an_address_that_is_none_is_refused(folder: Path, address: str) -> None:
    error = refusal(folder, "", listen=address)
    assert (error.field, error.code, error.value) == ("listen", "OUT_OF_RANGE", address)


def test_a_flag_that_is_wrong_is_named_as_one(folder: Path) -> None:
    error = refusal(folder, "drain_s = 5", limits__queue_requests=0)
    assert str(error).startswith("command line: limits.queue_requests: ")


def test_a_flag_into_a_section_that_is_none_is_refused(folder: Path) -> None:
    assert refusal(folder, "limits = 5", limits__queue_requests=9).field == "limits"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"drain_s = ", "not TOML"),
        (b"drain_s = 1\ndrain_s = 2\n", "line 2"),
        (b"\xff\xfe", "UTF-8"),
        (b"a = " + b"[" * 100_000, "nested too deeply"),
        (b"#" * (16 * MIB + 1), "more than"),
    ],
)
def test_a_file_that_is_no_toml_is_refused(folder: Path, data: bytes, said: str) -> None:
    file = folder / "server.toml"
    file.write_bytes(data)
    with pytest.raises(FileFormatError, match=said) as caught:
        Config.load(file)
    assert "server.toml" in str(caught.value)


def test_a_file_that_is_not_there_is_refused(folder: Path) -> None:
    for path in (folder / "none.toml", folder):
        with pytest.raises(FileFormatError) as caught:
            Config.load(path)
        assert str(path) in str(caught.value)


KEYS = st.sampled_from(["listen", "tls", "limits", "queue_requests", "drain_s", "data", "x", "1"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_whatever_the_file_holds_is_accepted_or_refused_by_key(values: dict[str, Any]) -> None:
    try:
        config = toml.validated(Config, values, where=lambda _key: "server.toml")
    except InvalidInputError as error:
        assert str(error).startswith(f"server.toml: {error.field}: ")
    else:
        assert isinstance(config, Config)


# -- SETTINGS TOGETHER -------------------------------------------------------------------------

CERTIFIED = "tls.certificate = 'server.pem'\ntls.key = 'server.key'\n"
TOKENS = "tokens = 'tokens.toml'\n"


@pytest.mark.parametrize(
    ("text", "field", "said"),
    [
        ("tls.certificate = 'server.pem'", "tls.key", "needs its key"),
        ("tls.key = 'server.key'", "tls.certificate", "needs its certificate"),
        ("tls.client_ca = 'clients.pem'", "tls.certificate", "client_ca needs"),
        ("data.stock = 'stock.csv'", "data.stores", "needs the stores"),
        ("limits.queue_bytes = 1048576", "limits.queue_bytes", "limits.message_bytes"),
    ],
)
def test_a_setting_that_needs_another_is_refused_without_it(
    folder: Path, text: str, field: str, said: str
) -> None:
    error = refusal(folder, text)
    assert error.field == field
    assert said in str(error)


LOOPBACK = ["127.0.0.1:0", "127.8.9.1:50051", "localhost:50051", "[::1]:50051", "unix:/run/f.sock"]
OPEN = ["0.0.0.0:50051", "[::]:50051", "10.0.0.1:50051", "orders.example.com:50051",
        "127.1:50051", "[fe80::1%eth0]:50051"]  # fmt: skip


@pytest.mark.parametrize("address", LOOPBACK)
def test_on_its_own_machine_a_server_needs_neither_tls_nor_tokens(
    folder: Path, address: str
) -> None:
    assert load(folder, "", listen=address).listen == address
    assert load(folder, TOKENS, listen=address).tokens is not None
    assert load(folder, "", door__listen=address).door_address == address


@pytest.mark.parametrize("address", OPEN)
def test_where_others_can_connect_tls_and_tokens_are_needed(folder: Path, address: str) -> None:
    for text in ("", TOKENS):
        error = refusal(folder, text, listen=address)
        assert (error.field, error.value) == ("listen", address)
        assert "tls.certificate" in str(error)
        assert "--insecure-bind" in str(error)
    error = refusal(folder, CERTIFIED, listen=address)
    assert "tokens" in str(error)
    assert load(folder, CERTIFIED + TOKENS, listen=address).listen == address


@pytest.mark.parametrize("address", OPEN)
def test_a_door_that_others_can_reach_needs_them_too(folder: Path, address: str) -> None:
    for text in ("", TOKENS, CERTIFIED):
        error = refusal(folder, text, door__listen=address)
        assert (error.field, error.value) == ("door.listen", address)
        assert "--insecure-bind" in str(error)
    assert load(folder, CERTIFIED + TOKENS, door__listen=address).door_address == address
    assert load(folder, "", door__listen=address, insecure_bind=True).door_address == address


def test_a_port_alone_is_one_of_the_servers_own_host(folder: Path) -> None:
    config = load(folder, "listen = '[::1]:50051'\n[door]\nlisten = '50052'\n")
    assert config.door_address == "[::1]:50052"
    assert load(folder, "", door__listen="unix:/run/d.sock").door_address == "unix:/run/d.sock"
    assert load(folder, "").door_address is None


@pytest.mark.parametrize("listen", ["", "door", "65536", "127.0.0.1", "127.0.0.1:x", "unix:"])
def test_a_door_without_a_usable_address_is_refused(folder: Path, listen: str) -> None:
    assert refusal(folder, "", door__listen=listen).field == "door.listen"


def test_a_door_is_somewhere_else_than_the_server(folder: Path) -> None:
    error = refusal(folder, "", door__listen="50051")
    assert (error.field, error.value) == ("door.listen", "50051")
    assert "the server's own" in str(error)
    error = refusal(folder, "", door__listen="50052", listen="unix:/run/f.sock")
    assert "no host" in str(error)
    both_free = load(folder, "", door__listen="0", listen="127.0.0.1:0")
    assert both_free.door_address == both_free.listen


def test_client_certificates_do_instead_of_tokens(folder: Path) -> None:
    config = load(folder, CERTIFIED + "tls.client_ca = 'clients.pem'", listen="0.0.0.0:50051")
    assert config.tokens is None


def test_who_wants_to_do_without_tls_must_say_so_by_name(folder: Path) -> None:
    config = load(folder, "insecure_bind = true", listen="0.0.0.0:50051")
    assert config.insecure_bind
    assert load(folder, "", listen="0.0.0.0:50051", insecure_bind=True) == config


# -- THE COMMANDS ------------------------------------------------------------------------------


def command(*words: object) -> Result:
    runner = CliRunner(env={"COLUMNS": "400"})
    return runner.invoke(config_app, [str(word) for word in words])


def test_the_file_that_is_shown_is_good_and_says_the_defaults(folder: Path) -> None:
    shown = command("show")
    assert shown.exit_code == 0
    file = folder / "shown.toml"
    file.write_text(shown.stdout, encoding="utf-8")
    assert Config.load(file) == Config.load()
    assert command("check", file).exit_code == 0


def test_the_file_that_is_shown_has_every_setting_and_says_what_it_is() -> None:
    described = {}
    for line, next_line in itertools.pairwise(settings.template().splitlines()):
        described[next_line.removeprefix("# ").partition(" = ")[0].strip("[]")] = line
    for key in toml.keys(Config):
        line = described[key.rpartition(".")[2]]
        assert line.startswith("# ")
        assert " = " not in line
        assert "None" not in line


def test_the_settings_that_are_commented_out_are_good_examples(folder: Path) -> None:
    config = load(folder, re.sub(r"^# (\w+ = )", r"\1", settings.template(), flags=re.MULTILINE))
    assert config.data.radius_m == 3_000.0
    assert config.metrics.listen == "127.0.0.1:9464"
    for section in (config, config.tls, config.data, config.orders, config.metrics, config.tracing):
        assert None not in dict(section).values()


def test_without_the_libraries_of_the_server_the_command_says_how_to_get_them() -> None:
    code = (
        "import sys; sys.modules['grpc'] = None;"
        "from fendan.server.commands import config_app; config_app(['check', 'server.toml'])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert result.stderr == "grpc is not installed: pip install 'fendan[server]'\n"


def test_a_good_file_is_called_good_and_its_settings_are_shown(folder: Path) -> None:
    file = folder / "server.toml"
    file.write_text("tokens = 'tokens.toml'\nlimits.queue_requests = 7654\n", encoding="utf-8")
    result = command("check", file)
    assert result.exit_code == 0
    assert result.stdout.startswith(f"{file}: good\n")
    assert "7,654" in result.stdout
    assert "tokens.toml" in result.stdout
    (row,) = [line for line in result.stdout.splitlines() if "queue_requests" in line]
    assert "default" not in row


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("drian_s = 5", "did you mean drain_s?"),
        ("listen = '0.0.0.0:1'", "--insecure-bind"),
        ("tls.certificate = 'server.pem'\ntls.key = 'server.key'", "tls.key"),
        ("tokens = 'stores.csv'", "chmod 600"),
        ("drain_s = ", "not TOML"),
    ],
)
def test_a_bad_file_is_refused_in_one_line(folder: Path, text: str, said: str) -> None:
    file = folder / "server.toml"
    file.write_text(text, encoding="utf-8")
    result = command("check", file)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert said in result.stderr
