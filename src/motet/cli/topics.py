"""`motet topics`: what there is, and making more."""

from typing import Annotated

from cyclopts import Parameter

from motet.cli.options import DEFAULTS, Options, command, named_topic, parse_duration
from motet.cli.tables import Column, counted, duration, size
from motet.core.errors import ConfigError
from motet.core.topics import check_topic

app = command("topics")

_LIST = (
    Column("TOPIC", wide=True),
    Column("PARTITIONS", right=True),
    Column("EVENTS", right=True),
    Column("SIZE", right=True),
    Column("RETENTION", right=True),
)
_PARTS = (
    Column("PARTITION", right=True),
    Column("FIRST", right=True),
    Column("NEXT", right=True),
)


@app.default
async def list_topics(*, options: Options = DEFAULTS) -> None:
    """List topics with their partitions, events, size and retention.

    Example: motet topics

    JSON: one document, `topics`: name, partitions, retention_s (null: for ever), events,
    size_bytes, ends, starts.
    """
    console = options.console()
    async with options.connect() as backends:
        topics = await backends.transport.topics()
    console.document({"topics": topics})
    if not topics:
        console.text("There are no topics yet; publishing to one creates it.")
        return
    console.table(
        _LIST,
        [
            (t.name, t.partitions, f"{t.events:,}", size(t.size_bytes), duration(t.retention_s))
            for t in topics
        ],
    )


@app.command(name="create")
async def create(
    topic: str,
    /,
    *,
    partitions: int = 8,
    retention: Annotated[str | None, Parameter(show_default=False)] = None,
    options: Options = DEFAULTS,
) -> None:
    """Create a topic, or change the retention of one that is there.

    The number of partitions stays as it was made: another would move keys.

    Example: motet topics create orders --retention 7d

    JSON: the topic, as `motet topics describe` shows it.

    Args:
        topic: The topic's name.
        partitions: How many ordered parts it has: the most workers that can share it.
        retention: How long events are kept, such as 12h or 7d; for ever if not given.
    """
    check_topic(topic)
    if partitions < 1:
        raise ConfigError(f"--partitions {partitions}: a topic has at least one; give 1 or more")
    console = options.console()
    kept_s = parse_duration(retention) if retention is not None else None
    async with options.connect(make=True) as backends:
        await backends.transport.create_topic(topic, partitions=partitions, retention_s=kept_s)
        info = named_topic(topic, list(await backends.transport.topics()))
    console.document(info)
    console.text(
        f"{info.name}: {counted(info.partitions, 'partition')}, kept {duration(info.retention_s)}."
    )


@app.command(name="describe")
async def describe(topic: str, /, *, options: Options = DEFAULTS) -> None:
    """Show one topic, partition by partition.

    Example: motet topics describe orders

    JSON: one document: name, partitions, retention_s, events, size_bytes, ends (next offset to
    be written, by partition), starts (oldest offset kept, by partition).

    Args:
        topic: The topic's name.
    """
    console = options.console()
    async with options.connect() as backends:
        info = named_topic(topic, list(await backends.transport.topics()))
    console.document(info)
    console.text(
        f"{info.name}: {counted(info.events, 'event')}, {size(info.size_bytes)}, "
        f"kept {duration(info.retention_s)}"
    )
    places = zip(info.starts, info.ends, strict=True)
    console.table(_PARTS, [(at, start, end) for at, (start, end) in enumerate(places)])
