"""What all suites in Python share: the support modules on the path, and the marker that --quick leaves out."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "support"), str(HERE / "golden")]


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes longer than about three seconds; `./dev test --quick` leaves it out")
