"""One thread that waits for something to happen, and wakes any number of coroutines at once."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from fendan.errors import Fault, refuse

__all__ = ["Pulse"]

# What happens ten times in a blink is told of once; still sooner than anyone can act on it.
PULSE_S = 0.05

# The waiting thread looks this often whether the server has ended.
LONGEST_WAIT_S = 0.5


class Pulse:
    """Wakes those who wait when something has happened, but not more often than once a pulse.

    `wait(timeout_s)`, in a thread of its own, returns whether something new has happened. `name`:
    of the thread. To be used on one event loop, and closed.
    """

    def __init__(self, name: str, wait: Callable[[float], bool]) -> None:
        self._wait = wait
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._task: asyncio.Task[None] | None = None
        self._woken = asyncio.Event()

    def next(self) -> asyncio.Event:
        """What is set when something happens from now on. Get it first, then look, then wait."""
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        return self._woken

    async def wait_for(self, woken: asyncio.Event) -> None:
        """Wait for what `next` gave. Raises InternalError where nobody watches any more."""
        await woken.wait()
        if self._task is None or self._task.done():  # better an end than a silence like calm
            refuse(Fault.INTERNAL, "pulse", hint="nobody waits for changes any more")

    def close(self) -> None:
        """End the thread. Whoever still waits is woken one last time."""
        if self._task is not None:
            self._task.cancel()
        self._thread.shutdown(wait=False)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while True:
                if await loop.run_in_executor(self._thread, self._wait, LONGEST_WAIT_S):
                    self._wake()
                await asyncio.sleep(PULSE_S)
        finally:
            loop.call_soon(self._wake)

    def _wake(self) -> None:
        woken, self._woken = self._woken, asyncio.Event()
        woken.set()
