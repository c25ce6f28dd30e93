"""Bridges: selected events of one transport, or of a source, copied to another transport."""

from motet.bridges.copying import Copied, Copying
from motet.bridges.draining import Draining
from motet.bridges.expressions import Expression, Key, Select, document
from motet.bridges.forwarding import Forwarding
from motet.bridges.marks import Via
from motet.bridges.opening import Opener, default_topic
from motet.bridges.picking import Counts, Picker
from motet.bridges.places import check_place, place
from motet.bridges.registering import register
from motet.bridges.targets import Target
from motet.bridges.working import Bridge, copying, emptying

__all__ = [
    # Both ways
    "Bridge",
    "Counts",
    "Picker",
    "Target",
    # Transport to transport
    "Copied",
    "Copying",
    "Forwarding",
    "copying",
    "register",
    # Source to transport
    "Draining",
    "Opener",
    "default_topic",
    "emptying",
    # No loops
    "Via",
    "check_place",
    "place",
    # Expressions
    "Expression",
    "Key",
    "Select",
    "document",
]
