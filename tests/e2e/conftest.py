import pytest

from apium import Stack
from shop import Shop


@pytest.fixture(scope="module")
def stack():
    """All of Apium: servers, gateway, worker."""
    with Stack() as stack:
        stack.start_gateway()
        stack.start_worker()
        yield stack


@pytest.fixture(scope="module")
def shop(stack):
    return Shop(stack)


@pytest.fixture(scope="module")
def ann(shop):
    return shop.user("ann")
