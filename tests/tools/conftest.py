import pytest

from apium import Stack


@pytest.fixture(scope="module")
def stack():
    """Servers and an empty database; no program of ours runs."""
    with Stack(migrate=False) as stack:
        yield stack
