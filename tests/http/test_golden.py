"""The recordings of the replaced application, as a ratchet: tests/golden/passing.txt only grows.

Each step named there must pass, and a step that passes must be named there.  To write the list anew after a step
has come to pass:

    APIUM_TEST_GOLDEN_WRITE=1 pytest tests/http/test_golden.py tests/http/test_throttle.py  # adds what passes now; takes nothing out

A line is `recording > scenario > step`.  One that begins with `~ ` may pass or fail, because what it asks for hangs
on the moment; the comment above says why.
"""

import pytest

from apium import Stack
from golden_steps import LIST, hold

pytestmark = pytest.mark.slow

RECORDINGS = ["login", "register", "tokens", "users", "account-mail", "products", "product-images", "lists", "http", "posts", "comments-tags",
              "reviews-variants", "library", "records", "profile-documents"]
# Those that want a server set up for them have a test of their own.
OPTIONAL = ["optional/envelope", "optional/throttle"]
SECRET = "golden-secret-key-0123456789-0123456789"


@pytest.fixture(scope="module")
def replayed():
    """Servers, gateway and worker for the recordings alone: they look at lists and at mail."""
    with Stack(APIUM_SECRET_KEY=SECRET) as stack:
        stack.start_gateway()
        stack.start_worker()
        yield stack


@pytest.mark.parametrize("recording", RECORDINGS)
def test_what_has_passed_passes(replayed, recording):
    hold(replayed, recording, SECRET)


def test_the_list_names_only_what_is_recorded():
    known = tuple(f"{recording} > " for recording in [*RECORDINGS, *OPTIONAL])
    lines = [line for line in LIST.read_text().splitlines() if line and not line.startswith("#")]
    assert lines and all(line.removeprefix("~ ").startswith(known) for line in lines)
    assert len(set(lines)) == len(lines), "a step stands there twice"
