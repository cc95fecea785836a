"""Every rule over every order, at once, and what they found.

Judged   order      0   0   3   7        one entry a finding, by order, then by rule
         line      -1   4  -1  12        of all lines; -1: the order as a whole
         rule      14   9  22   9        the rule's place in RULES
         severity   2   3   1   3
worst[n]  3 0 0 1 0 0 0 3 …              by order: the worst of its findings, 0 where there is none
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fendan.intake.config import Config
from fendan.intake.known import Known
from fendan.intake.received import Received
from fendan.intake.rule import Severity, Subject
from fendan.intake.rules import RULES
from fendan.intake.view import View

__all__ = ["Judged", "judge"]


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Findings as columns, drawn above."""

    order: NDArray[np.int64]
    line: NDArray[np.int64]
    rule: NDArray[np.int16]
    severity: NDArray[np.uint8]
    worst: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.order)

    def of_order(self, order: int) -> Iterator[tuple[str, int, Severity]]:
        """(code, line or -1, severity) of each finding in one order, in the order of the rules."""
        first, end = np.searchsorted(self.order, [order, order + 1]).tolist()
        for at in range(first, end):
            code = RULES[self.rule[at]].code
            yield code, int(self.line[at]), Severity(int(self.severity[at]))

    def reason(self, order: int) -> str:
        """The code of the first of an order's worst findings; "" where nothing was found."""
        worst = int(self.worst[order])
        found = (code for code, _, severity in self.of_order(order) if severity == worst)
        return next(found, "")

    def counts(self) -> dict[tuple[str, Severity], int]:
        """How many orders each rule found something in, by code and severity."""
        keys = (self.order * len(RULES) + self.rule) * len(Severity) + self.severity
        pairs, orders = np.unique(
            np.unique(keys) % (len(RULES) * len(Severity)), return_counts=True
        )
        return {
            (RULES[pair // len(Severity)].code, Severity(pair % len(Severity))): count
            for pair, count in zip(pairs.tolist(), orders.tolist(), strict=True)
        }


def judge(received: Received, known: Known, config: Config) -> Judged:
    """What the rules that are on find in these orders, whatever is in them.

    Orders with a buyer are remembered in `known.recent`: later ones are compared with them.
    """
    view = View(received, known)
    whole = np.full(len(received), -1, dtype=np.int64)
    orders, lines, rules, severities = [], [], [], []
    for number, (rule, setting) in enumerate(zip(RULES, config.settings, strict=True)):
        if not setting.enabled:
            continue
        found = rule.judge(view, setting.threshold)
        if found is None:
            continue
        rows = found.nonzero()[0]
        if not len(rows):
            continue
        is_line = rule.subject is Subject.LINE
        orders.append(view.order_of_line[rows] if is_line else rows)
        lines.append(rows if is_line else whole[rows])
        rules.append(np.full(len(rows), number, dtype=np.int16))
        severities.append(np.full(len(rows), setting.severity, dtype=np.uint8))
    return _judged(len(received), orders, lines, rules, severities)


def _judged(
    count: int,
    orders: list[NDArray[np.int64]],
    lines: list[NDArray[np.int64]],
    rules: list[NDArray[np.int16]],
    severities: list[NDArray[np.uint8]],
) -> Judged:
    """The findings of all rules, sorted by order; those of one order stay as they are."""
    worst = np.zeros(count, dtype=np.uint8)
    order = np.concatenate([np.zeros(0, dtype=np.int64), *orders])
    sort = np.argsort(order, kind="stable")
    severity = np.concatenate([np.zeros(0, dtype=np.uint8), *severities])
    np.maximum.at(worst, order, severity)
    return Judged(
        order=order[sort],
        line=np.concatenate([np.zeros(0, dtype=np.int64), *lines])[sort],
        rule=np.concatenate([np.zeros(0, dtype=np.int16), *rules])[sort],
        severity=severity[sort],
        worst=worst,
    )
