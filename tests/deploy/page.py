"""The configuration files of docs/deployment.md, for servers of a test."""

import re

from apium import TOP

PAGE = (TOP / "docs/deployment.md").read_text()


def file(name, **places):
    """The file of that name on the page; each line `KEY = …` or `KEY …` gets another value, and must be there."""
    text = re.search(rf"^`{re.escape(name)}`\n\n```\w+\n(.*?)^```$", PAGE, re.M | re.S)[1]
    for key, value in places.items():
        text, count = re.subn(rf"^({key}(?: =)?) .*$", lambda match: f"{match[1]} {value}", text, flags=re.M)
        assert count == 1, f"{name} on the page has no line {key}"
    return text
