"""Random crontabs, and what Celery answers to them: the table that tests/unit/beat/when.c reads.

`python tests/support/crontabs.py FILE` writes one; tests/golden/crontab.txt was made so.
"""

import random
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

from celery import Celery
from celery.schedules import crontab

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "America/Sao_Paulo", "Pacific/Apia"]
FIELDS = [(0, 59, None), (0, 23, None), (1, 31, None),
          (1, 12, "jan feb mar apr may jun jul aug sep oct nov dec".split()), (0, 6, "sun mon tue wed thu fri sat".split())]
CASES = 600


def number(chance, least, most, names):
    value = chance.randint(least, most)
    return chance.choice([str(value), names[value - least], names[value - least].upper()]) if names else str(value)


def part(chance, least, most, names):
    kind = chance.random()
    if kind < 0.25:
        return f"*/{chance.randint(1, most)}"
    if kind < 0.6:
        return number(chance, least, most, names)
    text = f"{number(chance, least, most, names)}-{number(chance, least, most, names)}"
    return text if kind < 0.8 else f"{text}/{chance.randint(1, 9)}"


def field(chance, *bounds):
    if chance.random() < 0.4:
        return "*"
    return ",".join(part(chance, *bounds) for _ in range(chance.choice([1, 1, 2, 3])))


def has_change(zone, moment):
    """Whether clocks are changed near: there the two may differ, as docs/celery.md says."""
    return len({(moment + timedelta(days=day)).astimezone(zone).utcoffset() for day in range(-2, 3)}) > 1


def rows(chance, count):
    """Lines of the table (tests/unit/beat/when.c)."""
    made = []
    while len(made) < count:
        text = " ".join(field(chance, *bounds) for bounds in FIELDS)
        name = chance.choice(ZONES)
        after = datetime(2020, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=chance.randrange(10 * 366 * 86400))
        app = Celery(set_as_current=False, timezone=name)
        try:
            schedule = crontab.from_string(text)
        except ValueError as error:
            assert "Invalid" in str(error) or "day_of_month" in str(error), error
            continue  # the 30th of February
        schedule.app, schedule.nowfun = app, lambda after=after: after
        following = after + schedule.remaining_estimate(after)
        assert schedule.is_due(after)[0] is False
        if has_change(ZoneInfo(name), after) or has_change(ZoneInfo(name), following):
            continue
        made.append(f"{name}|{text}|{int(after.timestamp())}|{round(following.timestamp())}")
    return made


if __name__ == "__main__":
    Path(sys.argv[1]).write_text("\n".join(rows(random.Random(1), CASES)) + "\n")
