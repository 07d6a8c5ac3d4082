"""How the programs of a test's servers end: standard library only."""

import os
import signal
import subprocess
import time

SECONDS = 12 if "asan" in os.path.basename(os.environ.get("APIUM_TEST_BUILD", "")) else 3


def end_all(programs):
    """SIGTERM to all that still run, so that leaks are looked for and coverage is written.  Who has work for longer is killed;
    who aborts (a sanitizer's report, an assertion) fails the test.  A program has `process` (Popen or None) and `log`."""
    running = [program for program in programs if program.process is not None and program.process.poll() is None]
    for program in running:
        program.process.send_signal(signal.SIGTERM)
        program.process.send_signal(signal.SIGCONT)
    deadline = time.monotonic() + SECONDS
    for program in running:
        try:
            program.process.wait(max(0.01, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            program.process.kill()
            program.process.wait()
    aborted = [program.log[-6000:] for program in running if program.process.returncode == -signal.SIGABRT]
    assert not aborted, "\n".join(aborted)
