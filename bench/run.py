#!/usr/bin/env python3
"""Apium beside the servers it stands on, in one run: `./dev bench [NAME…]`.

Starts a private PostgreSQL and a private Redis (AOF everysec) in a temporary folder, loopback and unix sockets only, and writes
to standard output only.  README.md beside this file says how to read the tables.
"""

import argparse
import os
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
BENCHES = {"queue-consume": "queue_consume", "http-retrieve": "http_retrieve", "http-latency": "http_latency"}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench", nargs="*", help=f"{', '.join(BENCHES)}; all if none is named")
    parser.add_argument("--build", default="build-bench", help="folder with the executables")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="of one measurement over HTTP")
    parser.add_argument("--jobs", type=int, default=300_000, help="of one round of queue-consume")
    parser.add_argument("--threads", type=int, default=1, help="event loops of the gateway")
    options = parser.parse_args()
    for name in options.bench:
        if name not in BENCHES:
            parser.error(f"there is no bench {name}; there are {', '.join(BENCHES)}")
    build = (TOP / options.build).resolve()
    if not (build / "apium-gateway").exists():
        parser.error(f"nothing is built in {build}")
    # The support code of the tests starts the servers; it reads this when it is imported.
    os.environ["APIUM_TEST_BUILD"] = str(build)
    sys.path.insert(0, str(TOP / "tests" / "support"))
    for name in options.bench or BENCHES:
        __import__(BENCHES[name]).run(options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
