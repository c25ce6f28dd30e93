"""The pipeline on a broker: Motet, the raw limit and FastStream, in turn in each run.

The events of a run are published first, and timed apart; then one process consumes them, handles
each, publishes what that gives, and acknowledges. Its rate is the events by the time from its first
fetch to its last acknowledged progress. All that is made on the broker for a run is removed after.
"""

import secrets
import statistics
import tempfile
from collections.abc import AsyncIterator
from urllib.parse import urlsplit, urlunsplit

import msgspec

from motet.bench import child
from motet.bench.broker_figures import BrokerFigures, summarised
from motet.bench.cases import PipelineCase, Progress
from motet.bench.child import Result
from motet.bench.contestants import MOTET, Contestant, Field, chosen, field
from motet.bench.figures import Sample
from motet.bench.load import BrokerLoad
from motet.core.errors import MotetError

_PATIENCE_S = 60.0
_SLOWEST_PER_S = 500  # a contestant that is slower than this is given up
_WARM_UP = 10_000  # events; a run that is smaller is a look, not a measurement
_LATENCY_S = 5.0  # how long the paced run is, about


class _Contest:
    """What has been measured up to now."""

    def __init__(self, case: PipelineCase, field: Field, progress: Progress) -> None:
        self.case = case
        self.field = field
        self.progress = progress
        self.samples: dict[str, list[Sample]] = {}
        self.sizes: dict[str, int] = {}
        self.failed: dict[str, str] = {}

    async def run(self, contestants: list[Contestant], number: int) -> None:
        """Measure each once; who fails is out."""
        shift = number % len(contestants)  # nobody is always behind the same other
        for each in contestants[shift:] + contestants[:shift]:
            if each.name in self.failed:
                continue
            self.progress(f"run {number} of {self.case.runs}: {each.name}")
            try:
                sample = await _measure(self.field, each, self.load(each))
            except MotetError as err:
                self.failed[each.name] = str(err)
                self.progress(f"{each.name} failed: {err}")
                continue
            self.samples.setdefault(each.name, []).append(sample)

    def load(self, contestant: Contestant, *, at_most: int = 0, rate: float = 0.0) -> BrokerLoad:
        """Return a fresh load for a contestant."""
        case = self.case
        events = case.events or self.field.events
        for limit in (contestant.at_most, at_most):
            events = min(events, limit) if limit else events
        self.sizes.setdefault(contestant.name, events)
        name = f"motet-bench-{secrets.token_hex(4)}"
        return BrokerLoad(
            url=url_of(case.url, self.field, contestant, name),
            name=name,
            mode=contestant.mode,
            folder=case.folder,
            events=events,
            size_bytes=case.size_bytes,
            batch=case.batch,
            keys=case.keys,
            rate_per_s=rate,
        )

    async def latencies(self, contestants: list[Contestant]) -> list[int]:
        """Measure Motet again at half of its rate; ages of events, ascending, in microseconds."""
        ours = self.samples.get(MOTET, [])
        if not (self.case.latency and ours) or MOTET in self.failed:
            return []
        self.progress("latency at half of the rate")
        half = statistics.median(each.events_per_s for each in ours) / 2
        (motet,) = (each for each in contestants if each.name == MOTET)
        load = self.load(motet, at_most=int(half * _LATENCY_S), rate=half)
        paced = msgspec.structs.replace(load, batch=max(1, min(load.batch, int(half / 200))))
        try:
            return await _paced(self.field, motet, paced)
        except MotetError as err:
            self.failed[f"{MOTET} at half of its rate"] = str(err)
            self.progress(f"latency failed: {err}")
            return []


async def run_contest(case: PipelineCase, progress: Progress) -> AsyncIterator[BrokerFigures]:
    """Measure the case; yields one line. `progress` is told of each step.

    Raises:
        ConfigError: the case names no broker, or a contestant that there is not.
        MotetError: a contestant failed; the line, without it, was yielded before.
    """
    broker = field(case)
    contestants, note = chosen(broker, case.only)
    if note:
        progress(note)
    contest = _Contest(case, broker, progress)
    about = await _play(broker.raw, "describe", contest.load(contestants[0]))
    if contestants[0].name == MOTET and contest.load(contestants[0]).events > _WARM_UP:
        progress("warm-up")
        await _measure(broker, contestants[0], contest.load(contestants[0], at_most=_WARM_UP))
        contest.sizes.clear()
    for number in range(1, case.runs + 1):
        await contest.run(contestants, number)
    yield summarised(
        case,
        about,
        {name: each for name, each in contest.samples.items() if name not in contest.failed},
        sizes=contest.sizes,
        failed=contest.failed,
        latencies_us=await contest.latencies(contestants),
    )
    if contest.failed:
        raise MotetError("; ".join(f"{name} failed: {why}" for name, why in contest.failed.items()))


async def _measure(field: Field, contestant: Contestant, load: BrokerLoad) -> Sample:
    with tempfile.TemporaryDirectory(dir=load.folder or None, prefix="motet-bench-") as folder:
        load = msgspec.structs.replace(load, folder=folder)
        told = msgspec.structs.replace(load, mode=contestant.published_as)
        try:
            published = await _play(contestant.publisher, "publish", told)
            worked = await _play(contestant.worker, "work", load)
        finally:
            await _play(field.raw, "clean", load)
    return Sample(
        events_per_s=load.events / worked.wall_s,
        cpu_s_per_100k=worked.cpu_s / load.events * 100_000,
        peak_mb=worked.peak_bytes / 1e6,
        publish_per_s=load.events / published.wall_s,
    )


async def _paced(field: Field, contestant: Contestant, load: BrokerLoad) -> list[int]:
    with tempfile.TemporaryDirectory(dir=load.folder or None, prefix="motet-bench-") as folder:
        load = msgspec.structs.replace(load, folder=folder)
        settings = _settings(load)
        try:
            publisher = await child.start(contestant.publisher, "publish", settings)
            worker = await child.start(contestant.worker, "work", settings)  # the topic is there
            worked, _ = await child.finish([worker, publisher], within_s=_within_s(load))
        finally:
            await _play(field.raw, "clean", load)
    return worked.latencies_us


async def _play(module: str, role: str, load: BrokerLoad) -> Result:
    return await child.run(module, role, _settings(load), within_s=_within_s(load))


def _settings(load: BrokerLoad) -> str:
    return msgspec.json.encode(load).decode()


def _within_s(load: BrokerLoad) -> float:
    return _PATIENCE_S + load.events / _SLOWEST_PER_S


def url_of(url: str, field: Field, contestant: Contestant, name: str) -> str:
    """Return the broker's URL as a contestant takes it: Motet's has a prefix for this run."""
    parts = urlsplit(url)
    if not contestant.ours:
        return urlunsplit(parts._replace(scheme=field.schemes[0], query=""))
    options = [parts.query, field.prefix.format(name=name)]
    return urlunsplit(parts._replace(query="&".join(each for each in options if each)))
