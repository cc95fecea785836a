"""A customer who notes every answer, for the README's kill -9; later it asks whether all is there.

python tests/customer.py ADDRESS NOTES            orders one after another, until nobody answers
python tests/customer.py ADDRESS NOTES --check    sends them again, and compares the answers
"""

import sys
from pathlib import Path

from fendan import Client, Decision, FendanError, Order

__all__ = ["check", "order"]


def an_order(number: int) -> Order:
    return Order(id=f"customer {number}", lat=31.24, lng=121.49, lines=[("SKU00001", 1)])


def note_of(decision: Decision) -> str:
    return f"{decision.order_id}: {decision.status.name} {decision.store_id}"


def order(client: Client, notes: Path) -> None:
    """Order until nobody answers."""
    number = 0
    with notes.open("w", buffering=1) as file:
        try:
            while True:
                print(note_of(client.route(an_order(number), timeout_s=1.0)), file=file)
                number += 1
        except FendanError as error:
            print(f"after {number:,} answers: {type(error).__name__}")


def check(client: Client, notes: Path) -> int:
    """How many answers are not there any more; says so."""
    noted = notes.read_text().splitlines()
    again = client.route_batch([an_order(number) for number in range(len(noted))])
    missing = sum(note != note_of(decision) for note, decision in zip(noted, again, strict=True))
    print(f"{len(noted):,} answers, {missing} missing")
    return missing


if __name__ == "__main__":
    with Client(sys.argv[1]) as client:
        if "--check" in sys.argv:
            sys.exit(bool(check(client, Path(sys.argv[2]))))
        order(client, Path(sys.argv[2]))
