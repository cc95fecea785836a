"""Orders are submitted to a service as they came, by either client."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from fendan import (
    Client,
    Engine,
    IntakeOutcome,
    InvalidInputError,
    NotAllowedError,
    RawPayload,
    aio,
)
from fendan.intake.intake import Intake
from fendan.intake.payload import MOST_PAYLOAD_BYTES
from fendan.server.callers import Scope
from fendan.server.intake import MOST_PAYLOADS
from fendan.server.tokens import new_token
from fendan.v1 import intake_service_pb2 as messages
from serving import a_chain, serving
from test_client import Blocking

ORDER: dict[str, Any] = {
    **{"order_id": "O-1", "lat": 31.2, "lng": 121.4},
    "lines": [{"sku": "tea", "quantity": 1}],
}


def payload(platform: str = "OWN_SHOP", **changes: Any) -> RawPayload:
    return RawPayload(platform=platform, data=json.dumps(ORDER | changes).encode())


MANY = [
    payload(),
    payload(order_id="O-2", lines=[{"sku": "tea", "quantity": 99}]),
    payload(order_id="O-3", lines=[{"sku": "tea", "quantity": 1, "unit_price": 0}]),
    payload(order_id="O-4", lines=[{"sku": "plutonium", "quantity": 1}]),
    payload(order_id="O-5", lines=[{"sku": "tea", "quantity": 0.5}]),
    RawPayload(platform="OWN_SHOP", data=b"\xff\x00{", received_ns=7),
    RawPayload(platform="PIGEONS", data=b""),
]


@contextmanager
def aio_client(address: str) -> Iterator[Blocking]:
    with asyncio.Runner() as runner:
        client = Blocking(aio.Client(address), runner)
        yield client
        client.close()


@pytest.mark.parametrize("opened", [Client, aio_client], ids=["Client", "aio.Client"])
def test_a_client_is_told_what_intake_says_in_process(opened: Callable[[str], Any]) -> None:
    expected = Intake(a_chain()).take(MANY)
    assert [one.outcome for one in expected] == [
        *(IntakeOutcome.ASSIGNED, IntakeOutcome.WAITING, IntakeOutcome.HELD),
        *(IntakeOutcome.REJECTED, *[IntakeOutcome.BROKEN] * 3),
    ]
    with serving(a_chain()) as served, opened(served.address) as client:
        assert client.submit(MANY) == expected
        assert client.submit(MANY) == expected  # nothing is done twice
        queue = served.engine.exceptions().entries
        assert {one.id for one in queue} == {one.exception_id for one in expected[1:]}
        assert client.submit([]) == []


def test_the_outcomes_of_the_contract_are_those_of_the_model() -> None:
    names = {name.removeprefix("INTAKE_OUTCOME_"): n for name, n in messages.IntakeOutcome.items()}
    assert names == {"UNSPECIFIED": 0} | {one.name: one.value for one in IntakeOutcome}


def test_many_payloads_are_numbered_through() -> None:
    many = [payload(order_id=f"O-{n}", lines=[]) for n in range(600)]
    with serving(a_chain()) as served, Client(served.address) as client:
        told = client.submit(many)
        assert [one.payload for one in told] == list(range(600))
        assert [one.order_id for one in told] == [f"O-{n}" for n in range(600)]
        assert served.engine.exception_stats().total == 600


@pytest.mark.parametrize(
    ("payloads", "field"),
    [
        ([b"{}"], "payloads"),
        (b"{}", "payloads"),
        ([RawPayload(platform=7, data=b"")], "payloads[0].platform"),  # type: ignore[arg-type]
        ([payload(), RawPayload(platform="POS", data="{}")], "payloads[1].data"),  # type: ignore[arg-type]
        ([RawPayload(platform="POS", data=b"", received_ns=-1)], "payloads[0].received_ns"),
        ([RawPayload(platform="P" * 300, data=b"")], "payloads[0].platform"),
        ([RawPayload(platform="POS", data=b"")] * (MOST_PAYLOADS + 1), "payloads"),
    ],
)
def test_a_call_that_cannot_be_is_refused_by_its_field(payloads: Any, field: str) -> None:
    with serving(a_chain()) as served, Client(served.address) as client:
        with pytest.raises(InvalidInputError) as refused:
            client.submit(payloads)
        assert refused.value.field == field
        assert served.engine.order_count == 0


def test_a_payload_larger_than_any_is_an_exception_and_not_an_error() -> None:
    huge = RawPayload(platform="OWN_SHOP", data=b" " * (MOST_PAYLOAD_BYTES + 1))
    with serving(a_chain()) as served, Client(served.address) as client:
        assert client.submit([huge])[0].codes == ("TOO_LARGE",)


def test_orders_and_findings_are_counted_and_a_log_shows_nobody(
    capsys: pytest.CaptureFixture[str],
) -> None:
    torn = {"order_id": "O-9", "receiver": "王先生", "lines": [{"quantity": "?"}]}
    rubbish = RawPayload(platform="OWN_SHOP", data=json.dumps(torn, ensure_ascii=False).encode())
    with serving(a_chain()) as served, Client(served.address) as client:
        client.submit([*MANY, *[rubbish] * 7])
        counted = served.server.metrics.registry.get_sample_value
        for outcome, orders in (("assigned", 1), ("waiting", 1), ("held", 1), ("broken", 10)):
            assert counted("fendan_intake_orders_total", {"outcome": outcome}) == orders
        found = {"rule": "PRICE_ZERO", "severity": "hold"}
        assert counted("fendan_intake_findings_total", found) == 1
        client.submit([rubbish])
    written = capsys.readouterr().err
    assert written.count("a payload is broken") == 3 + 1
    assert "FIELD_TYPE" in written
    assert "O-9" in written
    assert "王" not in written


def test_the_server_reads_a_file_of_rules_and_mappings(tmp_path: Path) -> None:
    file = tmp_path / "intake.toml"
    file.write_text('[mapping.CORNER]\nlike = "OWN_SHOP"\nchannel = "corner"\n', encoding="utf-8")
    with serving(a_chain(), intake__file=file) as served, Client(served.address) as client:
        (result,) = client.submit([payload("CORNER")])
        assert result.store_id == "S1"
    file.write_text("[mapping.CORNER]\nlike = 'NOBODY'\n", encoding="utf-8")
    refused = pytest.raises(InvalidInputError, match=r"intake\.toml: mapping\.CORNER\.like")
    with refused, serving(a_chain(), intake__file=file):
        pass


def test_only_those_who_bring_orders_in_may_submit(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.toml"
    token = {
        scope: new_token(tokens, name=scope.value, scope=scope, of=of)
        for scope, of in ((Scope.INGEST, ""), (Scope.STORE, "S1"), (Scope.SETTLEMENT, ""))
    }
    with serving(a_chain(), tokens=tokens) as served:
        with Client(served.address, token=token[Scope.INGEST]) as client:
            assert client.submit([payload()])[0].outcome is IntakeOutcome.ASSIGNED
        for scope in (Scope.STORE, Scope.SETTLEMENT):
            with (
                Client(served.address, token=token[scope]) as client,
                pytest.raises(NotAllowedError),
            ):
                client.submit([payload()])


def test_what_was_answered_survives_the_server(tmp_path: Path) -> None:
    with Engine.open(tmp_path) as engine:
        chain = a_chain()
        engine.add_stores(one.store for one in chain.stores())
        engine.set_stock([("S1", "tea", 1)])
        with serving(engine) as served, Client(served.address) as client:
            told = client.submit(MANY)
    with Engine.open(tmp_path) as engine:
        kept = {one.id: one.kind.name for one in engine.exceptions().entries}
        assert kept == {one.exception_id: one.outcome.name for one in told[1:]}
        assert engine.order("O-1").store_id == "S1"
