"""Policies are drafted, checked and put into force; what is refused leaves the old one in force."""

from pathlib import Path
from typing import Any

import pytest

import fendan.policy_versions
from clock import StoppedClock
from fendan import (
    CorruptJournalError,
    Engine,
    InvalidInputError,
    PolicyState,
    PolicyVersion,
    UnknownPolicyError,
    WrongTypeError,
)
from fendan.checking import check
from fendan.engine.events import EventKind
from fendan.rules import OrderType
from fendan.state import state_hash
from keeping import kept

QUICK = '[types.INSTANT]\npromise.most = "20min"\n'
SLOW = '[types.INSTANT]\npromise.most = "50min"\n'
BAD = "[types.INSTANT]\nsteps = [{ name = 'STORE', radius_m = -1 }]\n"


class Told(Engine):
    """An engine whose router is told of policies."""

    def __init__(self, **settings: Any) -> None:
        self.promises: list[float | None] = []
        super().__init__(**settings)

    def _policy_changed(self) -> None:
        self.promises.append(most_s(self))


def most_s(engine: Engine) -> float | None:
    """How long an INSTANT order may take under the policy in force; None: there is none."""
    book = engine._book
    return None if book is None else book.rule_for(OrderType.INSTANT).promise.most_s


# -- VERSIONS ----------------------------------------------------------------------------------


def test_an_engine_begins_without_a_policy() -> None:
    engine = Engine()
    assert (engine.policy_versions(), engine.active_version, most_s(engine)) == ([], 0, None)


def test_a_draft_is_kept_and_changes_nothing() -> None:
    clock = StoppedClock()
    engine = Engine(clock=clock)
    assert engine.draft_policy(QUICK) == 1
    first_ns = clock.ns
    clock.pass_s(5)
    assert engine.draft_policy(SLOW) == 2
    assert engine.policy_text(1) == QUICK
    assert engine.policy_versions() == [
        PolicyVersion(version=1, state=PolicyState.DRAFT, drafted_ns=first_ns),
        PolicyVersion(version=2, state=PolicyState.DRAFT, drafted_ns=clock.ns),
    ]
    assert (engine.active_version, most_s(engine)) == (0, None)


def test_the_same_text_is_the_same_version() -> None:
    engine = Engine()
    assert [engine.draft_policy(text) for text in (QUICK, SLOW, QUICK, "", SLOW, "")] == [
        *(1, 2, 1),
        *(3, 2, 3),
    ]


def test_one_version_is_in_force_and_those_before_it_are_retired() -> None:
    clock = StoppedClock()
    engine = Told(clock=clock)
    for text in (QUICK, SLOW, ""):
        engine.draft_policy(text)
    for version in (2, 1):
        clock.pass_s(60)
        engine.activate_policy(version)
    states = [one.state for one in engine.policy_versions()]
    assert states == [PolicyState.ACTIVE, PolicyState.RETIRED, PolicyState.DRAFT]
    times = [one.activated_ns for one in engine.policy_versions()]
    assert times == [clock.ns, clock.ns - 60 * 10**9, None]
    assert engine.active_version == 1
    assert engine.promises == [3_000.0, 1_200.0]


def test_none_may_be_in_force_again() -> None:
    engine = Told()
    engine.activate_policy(engine.draft_policy(QUICK))
    engine.activate_policy(0)
    assert (engine.active_version, most_s(engine)) == (0, None)
    assert [one.state for one in engine.policy_versions()] == [PolicyState.RETIRED]
    assert engine.promises == [1_200.0, None]


def test_what_is_in_force_already_is_not_put_into_force_again() -> None:
    clock = StoppedClock()
    engine = Told(clock=clock)
    engine.activate_policy(0)
    engine.activate_policy(engine.draft_policy(QUICK))
    before = state_hash(engine)
    clock.pass_s(60)
    engine.activate_policy(1)
    assert state_hash(engine) == before
    assert engine.promises == [1_200.0]


def test_of_very_many_versions_the_oldest_are_forgotten_but_never_the_one_in_force(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fendan.policy_versions, "MOST_VERSIONS", 3)
    engine = Engine()
    engine.activate_policy(engine.draft_policy(QUICK))
    for days in range(5):
        engine.draft_policy(f"[types.GROUP]\nleast_life_days = {days}")
    assert [one.version for one in engine.policy_versions()] == [1, 5, 6]
    assert engine.active_version == 1
    with pytest.raises(UnknownPolicyError, match="known are 1 to 6"):
        engine.policy_text(2)


# -- REFUSED -----------------------------------------------------------------------------------


def test_a_file_that_is_refused_leaves_the_old_one_in_force() -> None:
    engine = Told()
    engine.activate_policy(engine.draft_policy(QUICK))
    before = state_hash(engine)
    for refused in (engine.draft_policy, engine.check_policy):
        with pytest.raises(InvalidInputError) as caught:
            refused(BAD)
        assert caught.value.field == "types.INSTANT.steps[0].radius_m"
    assert state_hash(engine) == before
    assert (engine.active_version, most_s(engine)) == (1, 1_200.0)


@pytest.mark.parametrize("version", [-1, 2, 2**70])
def test_a_version_that_is_not_kept_is_refused(version: int) -> None:
    engine = Engine()
    engine.activate_policy(engine.draft_policy(QUICK))
    for ask in (engine.activate_policy, engine.policy_text):
        with pytest.raises(UnknownPolicyError) as caught:
            ask(version)
        assert (caught.value.field, caught.value.value) == ("version", version)
    assert engine.active_version == 1


@pytest.mark.parametrize("version", [None, "1", 1.0, True, False])
def test_what_is_no_version_is_refused(version: Any) -> None:
    engine = Engine()
    engine.draft_policy(QUICK)
    for ask in (engine.activate_policy, engine.policy_text):
        with pytest.raises(WrongTypeError):
            ask(version)
    assert engine.active_version == 0


def test_a_text_that_cannot_be_kept_is_refused() -> None:
    engine = Engine()
    with pytest.raises(InvalidInputError, match="UTF-8"):
        engine.draft_policy("# half a pair: \ud83d")
    assert engine.policy_versions() == []


# -- KEPT --------------------------------------------------------------------------------------


@pytest.mark.parametrize("with_snapshot", [False, True])
def test_the_version_in_force_survives_a_restart(tmp_path: Path, with_snapshot: bool) -> None:
    with kept(tmp_path) as engine:
        for text in (QUICK, SLOW):
            engine.draft_policy(text)
        engine.activate_policy(1)
        if with_snapshot:
            engine.snapshot()
        engine.activate_policy(2)
        versions, before = engine.policy_versions(), state_hash(engine)
    with kept(tmp_path) as again:
        assert again.policy_versions() == versions
        assert state_hash(again) == before
        assert (again.active_version, most_s(again)) == (2, 3_000.0)
        assert again.draft_policy(QUICK) == 1
        again.activate_policy(0)
    with kept(tmp_path) as engine:
        assert (engine.active_version, most_s(engine)) == (0, None)
    assert check(tmp_path).is_good


def test_whoever_routes_by_policies_is_told_once_after_a_restart(tmp_path: Path) -> None:
    with Told.open(tmp_path) as engine:
        for text in (QUICK, SLOW):
            engine.activate_policy(engine.draft_policy(text))
    with Told.open(tmp_path) as again:
        assert again.promises == [3_000.0]


@pytest.mark.parametrize(
    ("kind", "name", "text"),
    [
        ("policy", "1", "no JSON"),
        ("policy", "one", '{"drafted_ns": 1, "text": ""}'),
        ("policy", "1", '{"drafted_ns": 1}'),
        ("policy", "1", "[]"),
        ("policy-active", "active", '{"version": 1, "activated_ns": {}}'),
        ("policy-active", "active", "[]"),
    ],
)
def test_a_journal_whose_policies_cannot_be_is_refused(
    tmp_path: Path, kind: str, name: str, text: str
) -> None:
    """Whole and well summed, but by somebody else."""
    with kept(tmp_path) as engine, engine._command():
        texts = [kind.encode(), name.encode(), text.encode()]
        engine._writer().begin(0, 999).texts(EventKind.DOCUMENT, texts)
    with pytest.raises(CorruptJournalError, match=r"documents\.policy"):
        kept(tmp_path)
