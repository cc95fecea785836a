"""All intake rules, in the order in which they are told of. Numbers of rules are places in it.

Rules are declared beside what judges them, by what they are about; a new one goes at the end of
its group, and into `tests/intake_twin.py`, which judges it once more, order by order.
"""

from fendan.intake.line_rules import LINE_RULES
from fendan.intake.money_rules import MONEY_RULES
from fendan.intake.order_rules import ORDER_RULES
from fendan.intake.place_rules import PLACE_RULES
from fendan.intake.rule import Rule
from fendan.intake.time_rules import TIME_RULES

__all__ = ["NUMBER_OF", "RULES"]

RULES: tuple[Rule, ...] = (*ORDER_RULES, *LINE_RULES, *MONEY_RULES, *PLACE_RULES, *TIME_RULES)
NUMBER_OF = {rule.code: number for number, rule in enumerate(RULES)}
