"""What the gateway answers, read from its own tables, so that an attack reaches what is added later too."""

import re
from dataclasses import dataclass, field

from apium import TOP

GATEWAY = TOP / "services/gateway"
ID = "{id}"


@dataclass
class Field:
    name: str
    rules: str

    @property
    def is_ours(self):
        """No client may set it."""
        return any(re.search(rf"\b{word}\b", self.rules) for word in
                   ("KEY", "READ_ONLY", "COMPUTED", "HIDDEN", "NOW_AT_CREATION", "NOW_AT_SAVE"))


@dataclass
class Resource:
    name: str
    path: str
    fields: list[Field] = field(default_factory=list)


def resources():
    """In the order of routes.def."""
    wanted = re.findall(r"^RESOURCE\((\w+)\)", (GATEWAY / "routes.def").read_text(), re.M)
    found = {}
    for source in GATEWAY.glob("*.c"):
        text = source.read_text()
        fields = [Field(name, rules) for name, rules in re.findall(r'FIELD\("(\w+)",(.*)', text)]
        for name in re.findall(r"const struct resource (\w+)_resource = \{", text):
            path = re.search(rf'\b{name}_resource = {{.*?\.path = "([^"]+)"', text, re.S)
            found[name] = Resource(name, path[1], fields)
        # labels.c makes several of one shape.
        for name, table in re.findall(r'^LABEL\((\w+),\s*"[^"]*",\s*"(\w+)"', text, re.M):
            found[name] = Resource(name, f"{table}/", fields)
    return [found[name] for name in wanted]


def routes():
    """[(method, path with {id})]"""
    made = []
    for resource in resources():
        made += [(method, f"/api/v1/{resource.path}") for method in ("GET", "POST")]
        made += [(method, f"/api/v1/{resource.path}{ID}/") for method in ("GET", "PUT", "PATCH", "DELETE")]
    for method, mount, pattern in re.findall(r'^ROUTE\((\w+),\s*(\w+),\s*"([^"]+)"', (GATEWAY / "routes.def").read_text(), re.M):
        made.append((method, ("/api/v1/" if mount == "API" else "/") + re.sub(r"\{\w+\}", ID, pattern)))
    return made
