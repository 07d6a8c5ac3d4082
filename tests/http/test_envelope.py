"""APIUM_ERROR_ENVELOPE=on: errors as the replaced application's exception handler put them."""

import pytest

from apium import Stack
from golden_steps import hold

pytestmark = pytest.mark.slow

SECRET = "golden-secret-key-0123456789-0123456789"


@pytest.fixture(scope="module")
def enveloped():
    with Stack(APIUM_SECRET_KEY=SECRET, APIUM_ERROR_ENVELOPE="on") as stack:
        stack.start_gateway()
        yield stack


def test_the_recording(enveloped):
    hold(enveloped, "optional/envelope", SECRET)
