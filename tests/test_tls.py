"""The server proves who it is, may ask its clients to, and refuses files that would not do."""

import asyncio
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from typer.testing import CliRunner

from fendan.details import error_of
from fendan.errors import FendanError, FileFormatError, UnavailableError
from fendan.server.commands import config_app
from fendan.server.config import Config, Tls
from fendan.server.tls import check, server_credentials
from papers import Papers

METHOD = "/fendan.v1.RoutingService/Route"


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    return Papers(tmp_path_factory.mktemp("papers"))


# -- WHAT THE SERVER STARTS WITH ---------------------------------------------------------------


def test_without_a_certificate_there_is_no_tls() -> None:
    assert server_credentials(Tls()) is None


def test_a_certificate_with_its_key_is_good(papers: Papers) -> None:
    check(papers.tls("server.pem", "server.key"))
    check(papers.tls("server.pem", "server.key", "ca.pem"))
    assert isinstance(
        server_credentials(papers.tls("server.pem", "server.key")), grpc.ServerCredentials
    )


def test_a_certificate_may_bring_those_between_it_and_its_authority(papers: Papers) -> None:
    chain = papers.folder / "chain.pem"
    chain.write_bytes(papers.data("server.pem") + papers.data("ca.pem"))
    check(papers.tls("chain.pem", "server.key"))


def test_a_certificate_that_signs_itself_is_good(papers: Papers) -> None:
    check(papers.tls("ca.pem", "ca.key"))


@pytest.mark.parametrize(
    ("certificate", "key", "client_ca", "field", "said"),
    [
        ("server.pem", "client.key", None, "tls.key", "the key of another certificate"),
        ("server.pem", "server.pem", None, "tls.key", "PEM"),
        ("server.pem", "empty.pem", None, "tls.key", "PEM"),
        ("server.pem", "locked.key", None, "tls.key", "PEM"),
        ("server.key", "server.key", None, "tls.key", "PEM"),
        ("text.pem", "server.key", None, "tls.key", "PEM"),
        ("expired.pem", "expired.key", None, "tls.certificate", "expired"),
        ("early.pem", "early.key", None, "tls.certificate", "not yet valid"),
        ("server.pem", "server.key", "text.pem", "tls.client_ca", "PEM"),
        ("server.pem", "server.key", "empty.pem", "tls.client_ca", "PEM"),
        ("server.pem", "server.key", "ca.key", "tls.client_ca", "PEM"),
    ],
)
def test_files_that_would_refuse_every_client_stop_the_server(
    papers: Papers, certificate: str, key: str, client_ca: str | None, field: str, said: str
) -> None:
    with pytest.raises(FileFormatError) as caught:
        server_credentials(papers.tls(certificate, key, client_ca))
    assert caught.value.field == field
    assert said in str(caught.value)
    wrong = {"tls.key": key, "tls.certificate": certificate, "tls.client_ca": client_ca}[field]
    assert str(wrong) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("field", ["certificate", "key", "client_ca"])
def test_a_file_that_is_gone_by_then_stops_the_server(papers: Papers, field: str) -> None:
    gone = papers.folder / "gone.pem"
    gone.touch()
    tls = papers.tls("server.pem", "server.key", "ca.pem").model_copy(update={field: gone})
    gone.unlink()
    with pytest.raises(FileFormatError, match="No such file") as caught:
        server_credentials(tls)
    assert caught.value.field == f"tls.{field}"


def test_the_configuration_is_checked_with_its_certificates(papers: Papers) -> None:
    file = papers.folder / "server.toml"
    for name, exit_code in (("server", 0), ("expired", 2)):
        text = f"tls.certificate = '{name}.pem'\ntls.key = '{name}.key'\n"
        file.write_text(text, encoding="utf-8")
        assert Config.load(file).tls.certificate == papers.folder / f"{name}.pem"
        result = CliRunner().invoke(config_app, ["check", str(file)])
        assert result.exit_code == exit_code
        assert ("certificate has expired" in result.stderr) == (exit_code == 2)


# -- REAL CONNECTIONS --------------------------------------------------------------------------


async def greet(request: bytes, _context: object) -> bytes:
    return b"hello " + request


async def call(papers: Papers, tls: Tls, credentials: grpc.ChannelCredentials | None) -> bytes:
    """One call of a client with these credentials to a server with that TLS."""
    server = grpc.aio.server()
    service, _, method = METHOD.strip("/").partition("/")
    handlers = {method: grpc.unary_unary_rpc_method_handler(greet)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    server_side = server_credentials(tls)
    assert server_side is not None
    port = server.add_secure_port("127.0.0.1:0", server_side)
    await server.start()
    address = f"localhost:{port}"
    channel = (
        grpc.aio.insecure_channel(address)
        if credentials is None
        else grpc.aio.secure_channel(address, credentials)
    )
    try:
        async with channel:
            answer: Any = await channel.unary_unary(METHOD)(b"you", timeout=20)
            return bytes(answer)
    finally:
        await server.stop(None)


def greeting(papers: Papers, tls: Tls, credentials: grpc.ChannelCredentials | None) -> bytes:
    return asyncio.run(call(papers, tls, credentials))


def refusal(papers: Papers, tls: Tls, credentials: grpc.ChannelCredentials | None) -> FendanError:
    with pytest.raises(grpc.RpcError) as caught:
        greeting(papers, tls, credentials)
    return error_of(caught.value)


@pytest.fixture
def tls(papers: Papers) -> Tls:
    return papers.tls("server.pem", "server.key")


@pytest.fixture
def mutual(papers: Papers) -> Iterator[Tls]:
    yield papers.tls("server.pem", "server.key", "ca.pem")


def test_a_client_that_trusts_the_authority_is_served(papers: Papers, tls: Tls) -> None:
    assert greeting(papers, tls, papers.client()) == b"hello you"


def test_a_client_that_does_not_know_the_authority_goes_away(papers: Papers, tls: Tls) -> None:
    assert type(refusal(papers, tls, papers.client(ca="stranger_ca.pem"))) is UnavailableError


def test_a_client_without_tls_is_not_served(papers: Papers, tls: Tls) -> None:
    assert type(refusal(papers, tls, None)) is UnavailableError


def test_a_client_with_a_certificate_of_the_authority_is_served(
    papers: Papers, mutual: Tls
) -> None:
    assert greeting(papers, mutual, papers.client("client")) == b"hello you"


def test_a_client_without_a_certificate_is_not_served(papers: Papers, mutual: Tls) -> None:
    assert type(refusal(papers, mutual, papers.client())) is UnavailableError


@pytest.mark.parametrize("name", ["expired", "early", "strange"])
def test_a_client_with_a_certificate_that_is_not_good_is_not_served(
    papers: Papers, mutual: Tls, name: str
) -> None:
    assert type(refusal(papers, mutual, papers.client(name))) is UnavailableError
