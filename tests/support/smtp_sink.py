"""A mail server for tests: keeps every message, refuses some recipients for good.

    smtp_sink.py PORT FOLDER

Messages become FOLDER/1.eml, 2.eml …; each recipient asked for is a line of FOLDER/recipients.  An address that
begins with "refused" is answered 550, one that begins with "busy" 451.
"""

import asyncio
import sys
from pathlib import Path

from aiosmtpd.smtp import SMTP


class Sink:
    def __init__(self, folder):
        self.folder, self.count = folder, 0

    async def handle_RCPT(self, server, session, envelope, address, options):
        with open(self.folder / "recipients", "a") as out:
            out.write(address + "\n")
        if address.startswith("refused"):
            return "550 no such mailbox here"
        if address.startswith("busy"):
            return "451 come back later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        self.count += 1
        part = self.folder / f"{self.count}.part"
        part.write_bytes(envelope.original_content)
        part.rename(self.folder / f"{self.count}.eml")
        return "250 kept"


async def main():
    sink = Sink(Path(sys.argv[2]))
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(sink, loop=loop), "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()


asyncio.run(main())
