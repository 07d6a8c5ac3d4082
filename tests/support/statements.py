"""What a gateway asks PostgreSQL, read from the server's log.

The stack must have been started with LOGGED as its postgres_settings.
"""

import re

from shop import unique

# %a is the program's name.
LOGGED = ("log_statement=all", "log_line_prefix=<%a>")


class Statements:
    """Those that the gateway sent, read from the server's log."""

    def __init__(self, stack):
        self.stack = stack
        self.path = stack.postgres.folder / "log"

    def of(self, ask):
        at = self.path.stat().st_size
        answer = ask()
        assert answer.status == 200, answer
        # The log is written before a statement runs, and a marker after it.
        marker = unique("marker")
        self.stack.sql(f"SELECT '{marker}'")
        text = self.stack.wait_for("the marker in the log", lambda: marker in (text := self.read(at)) and text)
        sent = re.findall(r"<apium-gateway>LOG:  (?:statement|execute [^:]*): (.*)", text)
        # The relay of the same process looks into the outbox once a second, whoever asks for what.
        return [statement for statement in sent if "job_outbox" not in statement]

    def read(self, at):
        with open(self.path, "rb") as log:
            log.seek(at)
            return log.read().decode()
