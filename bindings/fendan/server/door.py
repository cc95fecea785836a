"""The native door: the threads around `fendan.engine.door`, and what comes in by it answered.

 clients <=> loop, off Python ─ turns ─► engine: answers them ─ done ─► sync: waits for the disk
                   ▲                                                           │
                   └────────────────────── handed back ────────────────────────┘

A turn is all that waits when the engine is free, and all its plain Route calls that came one after
another are one piece, routed as one batch. Like a lane's, its answers leave when all that they rest
on is on disk; while one turn is being synced, the next is done. In memory there is no sync thread.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import Self, TypeAlias

from fendan.engine.door import Door, DoorLimits, DoorStats, Ending
from fendan.engine.link import Tls
from fendan.engine.turns import Piece, Turn
from fendan.errors import BreachError, FendanError, JournalError
from fendan.server import logs, refusals
from fendan.server.access import METHODS, check_method
from fendan.server.answers import Answers
from fendan.server.call_counts import Calls
from fendan.server.callers import LOCAL, Caller
from fendan.server.config import Config
from fendan.server.decisions import ROUTE, STREAM_ROUTE
from fendan.server.endings import ending_of, endings
from fendan.server.lane import Journaled, bearable, waiting
from fendan.server.metrics import Metrics
from fendan.server.streams import refusal_to
from fendan.server.tokens import Tokens

__all__ = ["NativeDoor"]

# What the core's door knows of a method.
GATHERED, UNARY, STREAM = range(3)
KINDS = {ROUTE: GATHERED, STREAM_ROUTE: STREAM}

# How often it is looked whether the last connection has ended.
LOOK_S = 0.01

# What a call is told, or, of a piece of several, what all are: their answers, one after another.
Said: TypeAlias = tuple[Piece, bytes | Ending]


class NativeDoor:
    """Serves the hot methods at an address of their own, `port` (0 for a Unix socket).

    To be made, drained and closed on an event loop. Should the journal fail, or a thread end by
    itself, whoever waits is told so, and `on_crash` is called there with the reason.
    """

    def __init__(
        self,
        door: Door,
        callers: Sequence[Caller],
        answers: Answers,
        metrics: Metrics,
        on_crash: Callable[[Exception], object],
        journaled: Journaled | None,
    ) -> None:
        self.port = door.port
        self._door = door
        self._callers = callers
        self._answers = answers
        self._methods = tuple(answers.by_method)
        self._metrics = metrics
        self._on_crash = on_crash
        self._journaled = journaled
        self._loop = asyncio.get_running_loop()
        self._crash: Exception | None = None
        # Turns that are done and perhaps not on disk, each with the mark to wait for.
        self._done: SimpleQueue[tuple[Turn, list[Said], int] | None] = SimpleQueue()
        metrics.of_calls(self._calls)
        metrics.of_door(lambda name: float(getattr(door.stats(), name)))
        works: dict[str, Callable[[], object]] = {"loop": door.run, "engine": self._work}
        if journaled is not None:
            works["sync"] = partial(self._sync, journaled)
        self._threads = [
            threading.Thread(target=self._run, args=(work,), name=f"fendan-door-{name}")
            for name, work in works.items()
        ]
        for thread in self._threads:
            thread.daemon = True
            thread.start()

    @classmethod
    def open(
        cls,
        config: Config,
        tokens: Tokens | None,
        elsewhere: str,
        answers: Answers,
        metrics: Metrics,
        on_crash: Callable[[Exception], object],
        journaled: Journaled | None,
    ) -> Self:
        """Listen where the configuration says. `elsewhere`: the port that has every method.

        Raises UnavailableError where the address cannot be had.
        """
        assert config.door_address is not None
        methods = tuple(answers.by_method)
        known = {} if tokens is None else tokens.callers
        masks = [(digest, _allowed(who, methods)) for digest, who in known.items()]
        door = Door(
            listen=config.door_address,
            methods=[(method, KINDS.get(method, UNARY)) for method in methods],
            tokens=None if tokens is None else masks,
            limits=_limits(config),
            endings=endings(config, elsewhere),
            tls=_tls(config),
        )
        callers = [LOCAL] if tokens is None else list(known.values())
        return cls(door, callers, answers, metrics, on_crash, journaled)

    # -- ON THE EVENT LOOP ---------------------------------------------------------------------

    def drain(self) -> None:
        """Accept nothing more; streams end when they have the answers to what was read of them."""
        self._door.drain()

    async def quiet(self, until_s: float) -> None:
        """Wait until the last answer has left, or until a time of `time.monotonic`.

        A drained door closes each connection that has nothing more to say.
        """
        while self._door.stats().connections and time.monotonic() < until_s:
            await asyncio.sleep(LOOK_S)

    async def close(self) -> None:
        """End at once. Closing twice is closing once."""
        self._door.close()
        for thread in self._threads:
            await asyncio.to_thread(thread.join)

    # -- IN THE THREADS ------------------------------------------------------------------------

    def _run(self, work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as error:
            self._crashed(error)

    def _work(self) -> None:
        """Take turns, until the door is closed."""
        journaled = self._journaled
        try:
            while (turn := self._door.take()) is not None:
                self._metrics.stage("queue", turn.waited_s)
                if journaled is None:
                    self._hand_back(turn, self._said(list(turn)))
                    continue
                with journaled.deferred():
                    said = self._said(list(turn))
                self._done.put((turn, said, journaled.durable_mark()))
        finally:
            self._done.put(None)

    def _sync(self, journaled: Journaled) -> None:
        """Hand turns back when they are on disk; all that are done by then, in one go."""
        while turns := list(waiting(self._done)):
            began_s = time.perf_counter()
            _, _, last_mark = turns[-1]
            try:
                journaled.wait_durable(last_mark)
            except Exception as error:
                self._crashed(error)
                turns = [
                    (turn, self._failed(piece for piece, _ in said), 0) for turn, said, _ in turns
                ]
            self._metrics.synced(time.perf_counter() - began_s)
            for turn, said, _ in turns:
                self._hand_back(turn, said)

    def _hand_back(self, turn: Turn, said: Iterable[Said]) -> None:
        for piece, answer in said:
            if isinstance(answer, bytes):
                piece.answer(answer)
            else:
                piece.end(answer)
        self._door.hand_back(turn)

    def _crashed(self, error: BaseException) -> None:
        """From here on nothing is accepted; what is on disk by then is still told."""
        if self._crash is None:
            self._crash = bearable(error)
            with suppress(RuntimeError):  # the loop is closed: there is nobody to tell
                self._loop.call_soon_threadsafe(self._on_crash, self._crash)

    # -- A TURN --------------------------------------------------------------------------------

    def _said(self, pieces: Sequence[Piece]) -> list[Said]:
        """What each piece is told; those of which a call is refused come in parts."""
        if self._crash is None:
            said: list[Said] = []
            try:
                for piece in pieces:
                    self._say(piece, said)
                return said
            except (BreachError, JournalError) as error:
                self._crashed(error)
        return self._failed(pieces)

    def _failed(self, pieces: Iterable[Piece]) -> list[Said]:
        """All calls end with what the door has ended with."""
        crash = self._crash
        if not isinstance(crash, FendanError):
            crash = refusals.error_of(refusals.failed_inside)
        ending = ending_of(crash)
        return [(one, ending) for piece in pieces for one in _singly(piece)]

    def _say(self, piece: Piece, said: list[Said]) -> None:
        """Answer a piece, or else its halves, until whoever is refused stands alone.

        The engine refuses a batch before anything has changed, so that trying its parts is trying
        them for the first time.
        """
        try:
            said.append((piece, self._answer(piece)))
            return
        except (BreachError, JournalError):
            raise
        except FendanError as error:
            refused = refusals.without_frames(error)
        except Exception:
            logs.log.exception("a call failed inside", method=self._methods[piece.method])
            refused = refusals.error_of(refusals.failed_inside)
        if piece.count > 1:
            for half in piece.halves():
                self._say(half, said)
        else:
            said.append((piece, ending_of(refused)))

    def _answer(self, piece: Piece) -> bytes | Ending:
        if piece.count > 1:
            return self._answers.decisions.together(
                piece.count,
                piece.data,
                lambda: [self._callers[number] for number in piece.callers()],
            )
        method, who = self._methods[piece.method], self._callers[piece.caller]
        if not piece.is_allowed:
            check_method(who, method)
        try:
            return self._answers.by_method[method](who, piece.data)
        except FendanError as error:
            if method != STREAM_ROUTE or isinstance(error, BreachError | JournalError):
                raise
            return refusal_to(piece.data, error)

    # -- WHAT IT COUNTS ------------------------------------------------------------------------

    def stats(self) -> DoorStats:
        """What has happened at the door, and what is now."""
        return self._door.stats()

    def _calls(self) -> Calls:
        stats = self._door.stats()
        return Calls(self._methods, stats.ended, stats.seconds, stats.seconds_sum)


def _singly(piece: Piece) -> Iterator[Piece]:
    """The calls of a piece, each as one of its own."""
    if piece.count == 1:
        yield piece
    else:
        for half in piece.halves():
            yield from _singly(half)


def _allowed(who: Caller, methods: Sequence[str]) -> int:
    """The methods that a caller may call, as bits."""
    return sum(1 << bit for bit, method in enumerate(methods) if who.scope in METHODS[method])


def _limits(config: Config) -> DoorLimits:
    limits, keepalive, door = config.limits, config.keepalive, config.door
    return DoorLimits(
        message_bytes=limits.message_bytes,
        concurrent_streams=limits.concurrent_streams,
        queue_requests=limits.queue_requests,
        queue_bytes=limits.queue_bytes,
        connections=door.connections,
        header_bytes=door.header_bytes,
        header_timeout_s=door.header_timeout_s,
        idle_s=keepalive.idle_s,
        keepalive_time_s=keepalive.time_s,
        keepalive_timeout_s=keepalive.timeout_s,
        least_client_interval_s=keepalive.least_client_interval_s,
    )


def _tls(config: Config) -> Tls | None:
    """What the other port uses, too, and has checked."""
    tls = config.tls
    if tls.certificate is None or tls.key is None:
        return None
    client_ca = None if tls.client_ca is None else str(tls.client_ca)
    return Tls.server(str(tls.certificate), str(tls.key), client_ca)
