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
    actions: tuple = ("LIST", "READ", "CREATE", "UPDATE", "DELETE")
    bulk: tuple = ()

    @property
    def methods(self):
        """On the list."""
        return [method for method, action in (("GET", "LIST"), ("POST", "CREATE")) if action in self.actions]

    @property
    def methods_on_one(self):
        return [method for method, action in (("GET", "READ"), ("PUT", "UPDATE"), ("PATCH", "UPDATE"), ("DELETE", "DELETE"))
                if action in self.actions]


def resources():
    """In the order of routes.def; those that have routes of their own."""
    wanted = re.findall(r"^RESOURCE\((\w+)\)", (GATEWAY / "routes.def").read_text(), re.M)
    found = {}
    for source in GATEWAY.glob("*.c"):
        text = source.read_text()
        fields = [Field(name, rules) for name, rules in re.findall(r'FIELD\("(\w+)",(.*)', text)]
        for name in re.findall(r"const struct resource (\w+)_resource = \{", text):
            words = re.search(rf'\b{name}_resource = {{(.*?)^}};', text, re.S | re.M)[1]
            found[name] = Resource(name, re.search(r'\.path = "([^"]+)"', words)[1], fields)
            actions = re.search(r"\.actions = ([^,]+),", words)
            if actions:
                found[name].actions = tuple(re.findall(r"MAY_(\w+)", actions[1]))
            bulk = re.search(r"\.bulk = ([^,]+),", words)
            if bulk:
                found[name].bulk = tuple(re.findall(r"MAY_(\w+)", bulk[1]))
        # labels.c makes several of one shape.
        for name, table in re.findall(r'^LABEL\((\w+),\s*"[^"]*",\s*"(\w+)"', text, re.M):
            found[name] = Resource(name, f"{table}/", fields)
    return [found[name] for name in wanted if found[name].methods]


def routes():
    """[(method, path with {id})]"""
    made = []
    for resource in resources():
        made += [(method, f"/api/v1/{resource.path}") for method in resource.methods]
        made += [(method, f"/api/v1/{resource.path}{ID}/") for method in resource.methods_on_one]
        made += [("PATCH" if action == "UPDATE" else "POST", f"/api/v1/{resource.path}bulk_{action.lower()}/")
                 for action in resource.bulk]
    for method, mount, pattern in re.findall(r'^ROUTE\((\w+),\s*(\w+),\s*"([^"]+)"', (GATEWAY / "routes.def").read_text(), re.M):
        made.append((method, ("/api/v1/" if mount == "API" else "/") + re.sub(r"\{\w+\}", ID, pattern)))
    return made
