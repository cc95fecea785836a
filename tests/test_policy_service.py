"""Policies are sent to a service, which names what it refuses as the engine does."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fendan import Client, Engine, NotAllowedError, PolicyState
from fendan.model import PolicyVersion
from fendan.server.callers import Scope
from fendan.server.tokens import new_token
from fendan.v1 import policy_service_pb2 as messages
from serving import a_chain, serving
from test_client import Scenes, aio_client, client, played

QUICK = '[types.INSTANT]\npromise.most = "20min"\n'
SLOW = '[types.INSTANT]\npromise.most = "50min"\n[[override]]\nchannel = ["美团"]\nhours = "ANY"\n'
BAD = "[types.INSTANT]\nsteps = [{ name = 'STORE', radius_m = -1 }]\n"


def without_times(versions: list[PolicyVersion]) -> list[tuple[int, PolicyState, bool]]:
    return [(one.version, one.state, one.activated_ns is None) for one in versions]


SCENES: Scenes = {
    "none": lambda face: face.policy_versions(),
    "text of none": lambda face: face.policy_text(1),
    "activate none": lambda face: face.activate_policy(0),
    "activate nothing": lambda face: face.activate_policy(1),
    "check": lambda face: (face.check_policy(SLOW).rules, face.check_policy(SLOW).channels),
    "check a bad one": lambda face: face.check_policy(BAD),
    "check an unknown key": lambda face: face.check_policy("hour = 3"),
    "check a wrong type": lambda face: face.check_policy("[types.INSTANT]\nhours = 3"),
    "check what lacks something": lambda face: face.check_policy("[[override]]\nhours = 'ANY'"),
    "check what is no TOML": lambda face: face.check_policy("a = \nb"),
    "check no text": lambda face: face.check_policy(b""),
    "check half a letter": lambda face: face.check_policy("# \ud83d"),
    "check too much": lambda face: face.check_policy("#" * (2**20 + 1)),
    "draft": lambda face: [face.draft_policy(text) for text in (QUICK, SLOW, QUICK)],
    "draft a bad one": lambda face: face.draft_policy(BAD),
    "draft no text": lambda face: face.draft_policy(None),
    "drafted": lambda face: without_times(face.policy_versions()),
    "activate": lambda face: face.activate_policy(2),
    "activate again": lambda face: face.activate_policy(2),
    "activate another": lambda face: face.activate_policy(1),
    "activate an unknown one": lambda face: face.activate_policy(9),
    "activate a huge one": lambda face: face.activate_policy(2**70),
    "activate one below": lambda face: face.activate_policy(-1),
    "activate a word": lambda face: face.activate_policy("1"),
    "activate yes": lambda face: face.activate_policy(True),
    "activated": lambda face: without_times(face.policy_versions()),
    "texts": lambda face: [face.policy_text(version) for version in (1, 2)],
    "text of an unknown one": lambda face: face.policy_text(0),
    "text of half a one": lambda face: face.policy_text(1.5),
}


@pytest.mark.parametrize("opened", [client, aio_client], ids=["Client", "aio.Client"])
def test_a_client_says_of_policies_what_the_engine_says(opened: Callable[[], Any]) -> None:
    expected = played(SCENES, Engine())
    with opened() as there:
        given = played(SCENES, there)
    different = {name: (expected[name], given[name]) for name in SCENES}
    assert {name: pair for name, pair in different.items() if pair[0] != pair[1]} == {}


def test_times_and_states_are_those_of_the_engine() -> None:
    with serving() as served, Client(served.address) as client:
        for text in (QUICK, SLOW, BAD.replace("-1", "1")):
            client.draft_policy(text)
        for version in (1, 2):
            client.activate_policy(version)
        assert client.policy_versions() == served.engine.policy_versions()
        assert served.engine.active_version == 2
        assert {one.state for one in client.policy_versions()} == set(PolicyState)


def test_the_states_of_the_contract_are_those_of_the_model() -> None:
    names = {name.removeprefix("POLICY_STATE_"): n for name, n in messages.PolicyState.items()}
    assert names == {"UNSPECIFIED": 0} | {state.name: state.value for state in PolicyState}


def test_headquarters_write_policies_and_regions_read_them(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.toml"
    token = {
        scope: new_token(tokens, name=scope.value, scope=scope, of=of)
        for scope, of in (
            (Scope.HEADQUARTERS, ""),
            (Scope.REGION, "puxi"),
            (Scope.STORE, "S1"),
            (Scope.INGEST, ""),
        )
    }
    with serving(a_chain(), tokens=tokens) as served:
        with Client(served.address, token=token[Scope.HEADQUARTERS]) as client:
            client.activate_policy(client.draft_policy(QUICK))
        with Client(served.address, token=token[Scope.REGION]) as client:
            assert client.policy_text(1) == QUICK
            assert client.check_policy(SLOW).channels == ("美团",)
            for change in (lambda: client.draft_policy(SLOW), lambda: client.activate_policy(0)):
                with pytest.raises(NotAllowedError):
                    change()
        for scope in (Scope.STORE, Scope.INGEST):
            with (
                Client(served.address, token=token[scope]) as client,
                pytest.raises(NotAllowedError),
            ):
                client.policy_versions()
        assert served.engine.active_version == 1
