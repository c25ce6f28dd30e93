"""Settings, from the Structs that hold them."""

from functools import partial

from motet import RetryPolicy, Settings
from motet.drivers.sqlite.connection import Location
from motet.handlers import Handlers, Options
from motet.server import Limits
from scripts.reference.source import code, fields, fields_table, signature, table


def _url_options() -> str:
    rows = [
        (code(field.name), code(field.default.strip("'")), field.comment)
        for field in fields(Location)
        if field.default
    ]
    return table(("option", "default", "what it is"), rows)


def _on() -> str:
    return f"```python\n{signature(Handlers.on, 'app.on')}\n```"


PARTS = {
    "URL options": _url_options,
    "on": _on,
    "handler options": partial(fields_table, Options),
    "RetryPolicy": partial(fields_table, RetryPolicy),
    "Settings": partial(fields_table, Settings),
    "Limits": partial(fields_table, Limits),
}
