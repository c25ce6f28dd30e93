"""`motet bridge`: selected events of one transport, or of a source, copied to another."""

import os
from typing import Annotated, Literal

from cyclopts import Group, Parameter

from motet.bridges import Key, Select
from motet.cli.bridging import Plan, Side, at_work
from motet.cli.console import Console
from motet.cli.options import Flag, Options, command, parse_duration
from motet.cli.stops import stopping
from motet.cli.urls import chosen_store
from motet.cli.watching import Watch
from motet.cli.working import start_logs
from motet.core.clock import SystemClock

app = command("bridge")

DEFAULT_STORE = "sqlite:///.motet/bridge.db"

_COMMON = Group("Common options", sort_key=2)
_Flag = Parameter(negative="", show_default=False, group=_COMMON)


@app.default
async def bridge(
    from_url: Annotated[str, Parameter(name="FROM")],
    to_url: Annotated[str, Parameter(name="TO")],
    /,
    *,
    topic: Annotated[list[str] | None, Parameter(negative="")] = None,
    to_topic: str | None = None,
    select: str | None = None,
    key_by: str | None = None,
    group: str | None = None,
    from_name: str | None = None,
    to_name: str | None = None,
    kind: Annotated[Literal["transport", "cache"], Parameter(name="--as")] = "transport",
    ttl: str | None = None,
    until_idle: Annotated[bool, Flag] = False,
    drain: str = "30s",
    store: Annotated[str | None, Parameter(group=_COMMON)] = None,
    json: Annotated[bool, _Flag] = False,
    debug: Annotated[bool, _Flag] = False,
) -> int:
    """Copy events from one transport to another, from where the last run was, until stopped.

    FROM and TO are URLs as for --url. FROM may be a source as well: mqtt://HOST/TOPIC/FILTER,
    redis+pubsub://HOST?channel=NAME, rabbitmq://HOST?queue=NAME. Events keep their ids, and those
    of a key their order; each is copied at least once. An event is not copied to where it has
    been, so bridges may run both ways.

    Example: motet bridge kafka://localhost:9092 redis://localhost --topic orders

    JSON: a stream of lines. The first has from, to, topics, group, pid; then come the logs; the
    last has copied, new, unselected, returned, refused, duration_s, events_per_s.

    Args:
        from_url: Where events come from.
        to_url: Where they go.
        topic: A topic to copy; may be given several times.
        to_topic: The topic in TO, if it is to be another.
        select: Copy only events for which this JMESPath expression is true.
        key_by: Key of the copies: session, type, or a JMESPath expression.
        group: Consumer group in FROM that the bridge is; else named after TO.
        from_name: Name of FROM in the marks of events; needed where one cluster has two addresses.
        to_name: Name of TO, likewise.
        kind: What TO is: a transport, or a cache, a Redis where the key cache:TOPIC:KEY holds the
            latest payload of each key.
        ttl: How long a value stays in the cache; else for ever.
        until_idle: Copy what there is, then leave.
        drain: How long a stop waits for work in hand.
        store: Where progress is kept if FROM does not, and dead letters; else MOTET_STORE, else
            sqlite:///.motet/bridge.db.
        json: Print JSON on standard output, for programs.
        debug: Show tracebacks, and debug lines in logs.
    """
    console = Console(as_json=json)
    drain_s = parse_duration(drain)
    plan = Plan(
        here=Side(from_url, from_name),
        there=Side(to_url, to_name),
        topics=tuple(topic or ()),
        to_topic=to_topic,
        group=group,
        select=None if select is None else Select(select),
        key=None if key_by is None else Key(key_by),
        store=chosen_store(store, os.environ) or DEFAULT_STORE,
        drain_s=drain_s,
        cache=kind == "cache",
        ttl_s=None if ttl is None else parse_duration(ttl),
    )
    plan.check()
    start_logs(Options(json=json, debug=debug))
    clock = SystemClock()
    async with (
        stopping(console, drain_s=drain_s, clock=clock) as stop,
        at_work(plan, clock) as work,
    ):
        console.record(plan.described(pid=os.getpid()))
        console.text(plan.sentence())
        if not until_idle:
            console.text("Stop with Ctrl-C.")
        console.flush()
        if work.bridge.lossy:
            console.note("motet: what the source sends while this bridge is not running is lost")
        async with Watch(console, work, clock).watching() as watch:
            if until_idle:
                await stop.wait_for(work.bridge.until_idle())
            else:
                await stop.wait()
    watch.finish()
    return stop.finish() or (1 if until_idle and work.counts.refused else 0)
