"""One who keeps a picture of what can be sold, by what the engine tells and nothing else."""

from typing import Any

from fendan import Engine
from fendan.model import AvailabilityChanges


class Watcher:
    """Takes the full state once, then follows the changes; `wanted` as in `Engine.changes`."""

    def __init__(self, engine: Engine, **wanted: Any) -> None:
        self.engine = engine
        self.wanted = wanted
        self.resets = -1
        self.begin()

    def begin(self) -> None:
        """Forget everything and take the full state."""
        self.resets += 1
        self.picture: dict[tuple[str, str], int] = {}
        for piece in self.engine.availability(**self.wanted):
            self.note(piece)
            self.cursor = piece.cursor

    def catch_up(self) -> dict[tuple[str, str], int]:
        """Follow to the last change; the picture as it is then, without what is sold out."""
        while True:
            news = self.engine.changes(self.cursor, **self.wanted)
            if news.reset:
                self.begin()
                continue
            self.note(news)
            if news.cursor == self.cursor:
                return self.picture
            self.cursor = news.cursor

    def note(self, news: AvailabilityChanges) -> None:
        for one in news.changes:
            self.picture[one.store_id, one.sku] = one.sellable
            if not one.sellable:
                del self.picture[one.store_id, one.sku]
