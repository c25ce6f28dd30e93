"""The application under test: three groups in a row, each in its own way of delivery.

```
 in ─▶ fold (store: state, one event) ─▶ mid ─▶ copy (transport) ─▶ out ─▶ seen (store: state)
```

`fold` and `seen` keep per key the numbers of all events they handled, in the order of handling. A
number that is missing was lost, one that is there twice was handled twice, and one that is smaller
than the one before came out of order.
"""

import msgspec

from motet import App, Draft, Event, State, emit, event

STORED = ("fold", "seen")
GROUPS = ("fold", "copy", "seen")
TOPICS = ("in", "mid", "out")

app = App("counting")


@event("counted")
class Counted(msgspec.Struct, frozen=True):
    """One more."""

    number: int


@app.on("in", group="fold")
def fold(counted: Counted, state: State) -> Draft:
    """Remember a number and pass it on."""
    remember(counted, state)
    return emit("mid", counted)


app.route("mid", {"counted": "out"}, group="copy", delivery="transport")


@app.on("out", group="seen")
def see(counted: Counted, state: State) -> None:
    """Remember a number."""
    remember(counted, state)


def remember(counted: Counted, state: State) -> None:
    """Add a number to those of its key."""
    state.put([*(state.get(list[int]) or ()), counted.number])


def numbered(number: int, *, keys: int) -> Event:
    """Event `number`, always the same; it belongs to one of `keys` keys."""
    return Event(
        id=f"019b7600-0000-7000-8000-{number:012d}",
        type="counted",
        time="2026-01-01T00:00:00Z",
        key=f"k{number % keys}",
        source="/faults",
        data=msgspec.Raw(msgspec.json.encode(Counted(number))),
    )
