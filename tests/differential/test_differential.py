"""2,000 generated requests, one after another, to Django and to Apium: what Django answers is what Apium must answer.

What the two answer is compared by the rules of tests/golden/replay.py.  APIUM_TEST_SEED repeats a run, APIUM_TEST_REQUESTS
makes it shorter or longer.
"""

import json
import os
import random
import re

import replay
from generate import Generator

REQUESTS = int(os.environ.get("APIUM_TEST_REQUESTS", "2000"))
PART = 200  # requests between two pairs of new users


def claims_are_sorted(sentence):
    """Tokens say the same in another order."""
    found = re.search(r'expected "<jwt (.*) (\S+)>", got <jwt (.*) (\S+)>$', sentence)
    return found and found[1] == found[3] and sorted(found[2].split(",")) == sorted(found[4].split(","))


# docs/architecture.md, "Departures": what Apium answers otherwise on purpose, as far as a generated request meets it.
DEPARTURES = [claims_are_sorted]


def is_excused(sentence):
    what = sentence.split(": ", 1)[1]
    return any(departure(what) for departure in DEPARTURES)


def ask_both(django, ours, generator, operation, step):
    """The sentences about what differs."""
    django.request(step)
    generator.keep(operation, step, django.variables)
    try:
        _, sentences = ours.request(step)
    except replay.Trouble as trouble:
        sentences = [f"answer: {trouble}"]
    return [sentence for sentence in sentences if not is_excused(sentence)]


def steps(generator):
    """(operation, step); without an operation, one that prepares."""
    for part in range(-(-REQUESTS // PART)):
        yield from ((None, step) for step in generator.users(part))
        if part == 0:
            yield from generator.first_rows()
            yield from generator.all_options()
        for _ in range(min(PART, REQUESTS - part * PART)):
            yield generator.any()


def test_both_answer_the_same(both):
    django, ours = both
    seed = int(os.environ.get("APIUM_TEST_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"APIUM_TEST_SEED={seed}")
    described = replay.send(django.settings, "GET", "/api/v1/schema/?format=json", {}, None)
    generator = Generator(json.loads(described.text), seed)
    for side in both:
        side.prepare({"login": "admin"})
    different, statuses, seen = [], {}, set()
    for number, (operation, step) in enumerate(steps(generator)):
        if operation is None:
            for side in both:
                side.prepare(step)
            continue
        sentences = ask_both(django, ours, generator, operation, step)
        status = step.pop("expect")["status"]
        statuses[status] = statuses.get(status, 0) + 1
        seen.add(operation.name)
        if sentences:
            different.append("\n    ".join([f"{number}: {json.dumps(step, ensure_ascii=False)[:1500]}", *sentences]))
    print(f"Django's answers: {dict(sorted(statuses.items(), key=str))}; {len(seen)} of {len(generator.operations)} operations")
    assert not different, "\n".join([f"{len(different)} answers differ (APIUM_TEST_SEED={seed}):", *different])
    # A run that asks for nothing would pass, too.
    assert REQUESTS < 2000 or (statuses[200] + statuses[201] > 500 and len(seen) == len(generator.operations))
