"""The slow twin of lots: one piece after another, and every order's demand remembered."""

from dataclasses import dataclass, field


@dataclass
class Batch:
    """The pieces with one sell-by day."""

    day: int
    on_hand: int
    reserved: int = 0

    @property
    def free(self) -> int:
        return max(0, self.on_hand - self.reserved)


@dataclass
class Shelf:
    """The batches of one SKU at one store, and who holds how many, from which day on.

    `promised`: whether what was held was always free, and nothing of it has gone missing since.
    """

    batches: list[Batch]
    held: list[tuple[int, int]] = field(default_factory=list)
    promised: bool = True

    @property
    def total(self) -> int:
        return sum(batch.on_hand for batch in self.batches)

    @property
    def reserved(self) -> int:
        return sum(batch.reserved for batch in self.batches)

    @property
    def rows(self) -> list[tuple[int, int, int]]:
        return [(batch.day, batch.on_hand, batch.reserved) for batch in self.batches]

    def free_from(self, day: int) -> int:
        return sum(batch.free for batch in self.batches if batch.day >= day)

    def in_turn(self, day: int) -> list[Batch]:
        """Those from a day on, the earliest first; then the others, the latest first."""
        fresh = [batch for batch in self.batches if batch.day >= day]
        return fresh + [batch for batch in reversed(self.batches) if batch.day < day]

    def reserve(self, day: int, count: int) -> None:
        for _ in range(count):
            free = [batch for batch in self.in_turn(day) if batch.free]
            (free or self.batches[-1:])[0].reserved += 1

    def hold(self, day: int, count: int) -> None:
        self.promised = self.promised and self.free_from(day) >= count
        self.reserve(day, count)
        self.held.append((day, count))

    def release(
        self, order: tuple[int, int], *, sent: bool = False, from_day: int | None = None
    ) -> None:
        """`from_day`: no later than the day that it was held from, which it is by default."""
        day, count = order
        self.held.remove(order)
        day = day if from_day is None else from_day
        absent = 0
        for _ in range(count):
            batch = next(batch for batch in self.in_turn(day) if batch.reserved)
            batch.reserved -= 1
            absent += sent and batch.on_hand == 0
            batch.on_hand -= sent and batch.on_hand > 0
        self.lose(absent)

    def put_back(self, day: int, count: int) -> None:
        fresh = [batch for batch in self.batches if batch.day >= day]
        (fresh or self.batches[-1:])[0].on_hand += count
        self.settle()

    def correct(self, on_hand: int) -> None:
        self.batches[-1].on_hand += max(0, on_hand - self.total)
        self.lose(self.total - on_hand)

    def lose(self, count: int) -> None:
        """Free pieces first, then any, the earliest first; there may be billions of them."""
        for free_ones in (True, False):
            for batch in self.batches:
                gone = min(count, batch.free if free_ones else batch.on_hand)
                batch.on_hand -= gone
                count -= gone
        self.settle()

    def settle(self) -> None:
        """A piece that is reserved where there is none is reserved anew."""
        self.promised = self.promised and self.reserved <= self.total
        for batch in reversed(self.batches):
            excess = max(0, batch.reserved - batch.on_hand)
            batch.reserved -= excess
            self.reserve(batch.day, excess)

    def replace(self, batches: list[Batch]) -> int:
        """New batches; how many reserved pieces have none as late as theirs was."""
        old, self.batches = self.batches, batches
        displaced = 0
        for batch in reversed(old):
            for _ in range(batch.reserved):
                displaced += not self.free_from(batch.day)
                self.reserve(batch.day, 1)
        self.promised = self.promised and not displaced
        return displaced

    def can_serve_all(self) -> bool:
        """Whether every order finds what it holds among what is reserved, late enough."""
        reserved = {batch.day: batch.reserved for batch in self.batches}
        for day, count in sorted(self.held, reverse=True):
            wanted = count
            for batch_day in sorted(reserved):
                if batch_day >= day:
                    taken = min(wanted, reserved[batch_day])
                    reserved[batch_day] -= taken
                    wanted -= taken
            if wanted:
                return False
        return True
