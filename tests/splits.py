"""The slow twin of splits: every set of stores, and every way to share an order out among them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product


@dataclass(frozen=True)
class Offer:
    """What a store could send: the numbers of items."""

    distance_m: float
    items: frozenset[int]


@dataclass(frozen=True)
class Wish:
    """What is to be sent. `amounts`: what each item is worth, or None where it does not matter."""

    item_count: int
    most_shipments: int
    amounts: tuple[int, ...] | None = None
    least_amount: int = 0

    @property
    def items(self) -> frozenset[int]:
        return frozenset(range(self.item_count))

    def is_worth_it(self, part: frozenset[int]) -> bool:
        return self.amounts is None or sum(self.amounts[i] for i in part) >= self.least_amount


def sum_um(offers: Sequence[Offer], positions: Sequence[int]) -> int:
    """The sum of distances, each in whole micrometres."""
    return sum(round(offers[position].distance_m * 1e6) for position in positions)


def assignments(
    offers: Sequence[Offer], wish: Wish, positions: Sequence[int]
) -> Iterator[tuple[int, ...]]:
    """All ways in which each of these offers sends something, and enough; the smallest first."""
    senders = [[p for p in positions if item in offers[p].items] for item in range(wish.item_count)]
    for assignment in product(*senders):
        parts = [frozenset(i for i in wish.items if assignment[i] == p) for p in positions]
        if all(part and wish.is_worth_it(part) for part in parts):
            yield assignment


def fewest(offers: Sequence[Offer], wish: Wish) -> list[int] | None:
    for shipments in range(1, wish.most_shipments + 1):
        choices = combinations(range(len(offers)), shipments)
        for positions in sorted(choices, key=lambda some: (sum_um(offers, some), some)):
            for assignment in assignments(offers, wish, positions):
                return list(assignment)
    return None


def shared_out(
    offers: Sequence[Offer], wish: Wish, positions: Iterator[int]
) -> dict[int, int] | None:
    """Item -> offer, where each in turn sends all it has of what is missing, if that is enough."""
    sender: dict[int, int] = {}
    shipments = 0
    for position in positions:
        part = offers[position].items & wish.items - sender.keys()
        if part and wish.is_worth_it(part) and shipments < wish.most_shipments:
            sender |= dict.fromkeys(part, position)
            shipments += 1
    return sender if len(sender) == wish.item_count else None


def nearest(offers: Sequence[Offer], wish: Wish) -> list[int] | None:
    sender = shared_out(offers, wish, iter(range(len(offers))))
    return None if sender is None else [sender[item] for item in range(wish.item_count)]


@dataclass(frozen=True)
class Basket:
    """Lines whose pieces may come from several stores."""

    asked: tuple[int, ...]
    most_shipments: int
    amounts: tuple[int, ...] | None = None
    least_amount: int = 0

    def is_worth_it(self, pieces: Sequence[int]) -> bool:
        if self.amounts is None:
            return True
        shares = zip(self.amounts, pieces, self.asked, strict=True)
        return sum(amount * n // asked for amount, n, asked in shares) >= self.least_amount


Pieces = list[tuple[int, list[int]]]


def taken(
    sellable: Sequence[Sequence[int]], basket: Basket, positions: Sequence[int]
) -> tuple[Pieces, bool]:
    """What each of these stores in turn sends, if it is worth it; whether that is all."""
    missing = list(basket.asked)
    shipments: Pieces = []
    for position in positions:
        pieces = [min(has, wanted) for has, wanted in zip(sellable[position], missing, strict=True)]
        if any(pieces) and basket.is_worth_it(pieces) and len(shipments) < basket.most_shipments:
            shipments.append((position, pieces))
            missing = [wanted - n for wanted, n in zip(missing, pieces, strict=True)]
    return shipments, not any(missing)


def fewest_pieces(
    metres: Sequence[float], sellable: Sequence[Sequence[int]], basket: Basket
) -> Pieces | None:
    for count in range(1, basket.most_shipments + 1):
        lists = combinations(range(len(metres)), count)
        for positions in sorted(
            lists, key=lambda some: (sum(round(metres[position] * 1e6) for position in some), some)
        ):
            shipments, complete = taken(sellable, basket, positions)
            if complete and len(shipments) == count:
                return shipments
    return None


def nearest_pieces(sellable: Sequence[Sequence[int]], basket: Basket) -> Pieces | None:
    shipments, complete = taken(sellable, basket, range(len(sellable)))
    return shipments if complete else None
