"""A clock that stands still until a test moves it."""


class StoppedClock:
    """For `Engine(clock=...)`; half past nothing on the day the tests were written."""

    def __init__(self, now_ns: int = 1_750_000_000_000_000_000) -> None:
        self.ns = now_ns

    def now_ns(self) -> int:
        """Nanoseconds since 1970, UTC."""
        return self.ns

    def pass_s(self, seconds: float) -> None:
        """Let time pass, or run back."""
        self.ns += round(seconds * 1e9)
