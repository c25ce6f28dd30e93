"""`motet groups`: how far everybody is behind."""

from motet.cli.options import DEFAULTS, Options, command
from motet.cli.tables import Column
from motet.telemetry import lags
from motet.views import view_groups

app = command("groups")

_COLUMNS = (
    Column("GROUP", wide=True),
    Column("TOPIC", wide=True),
    Column("PARTITION", right=True),
    Column("NEXT", right=True),
    Column("END", right=True),
    Column("LAG", right=True),
    Column("PARKED", right=True),
)


@app.default
async def show_groups(
    *, group: str | None = None, topic: str | None = None, options: Options = DEFAULTS
) -> None:
    """Show how far each consumer group is behind in each partition, and what it has parked.

    LAG is the number of events not done yet. PARKED are records that failed and wait for another
    try, with those of their key behind them.

    Example: motet groups --group inventory

    JSON: one document, `groups`: group, lag, parked, partitions (group, topic, partition, next,
    end, lag, parked).

    Args:
        group: Only this consumer group.
        topic: Only this topic.
    """
    console = options.console()
    async with options.connect() as backends:
        topics = await backends.transport.topics()
        places = await backends.store.groups()
    found = [
        lag
        for lag in lags(topics, places, {})
        if group in (None, lag.group) and topic in (None, lag.topic)
    ]
    views = view_groups(found)
    console.document({"groups": views})
    if not found:
        console.text("No consumer group has begun; `motet run MODULE:app` starts one.")
        return
    rows = [
        (lag.group, lag.topic, lag.partition, lag.next, lag.end, lag.lag, lag.parked)
        for lag in found
    ]
    console.table(_COLUMNS, rows)
    for view in views:
        console.text(f"{view.group}: {view.lag:,} behind, {view.parked:,} parked")
