import msgspec

from motet.bench.broker_figures import BrokerFigures, summarised
from motet.bench.cases import PipelineCase
from motet.bench.child import Result
from motet.bench.contestants import BATCH, MOTET, RAW, SINGLE
from motet.bench.figures import Sample, Spread


def samples(*rates: float) -> list[Sample]:
    return [
        Sample(events_per_s=rate, cpu_s_per_100k=2.0, peak_mb=50.0, publish_per_s=rate * 2)
        for rate in rates
    ]


def figures(**measured: list[Sample]) -> BrokerFigures:
    return summarised(
        PipelineCase(transport="redis", url="redis://here", runs=2),
        Result(backend="redis 7.0", durability="appendfsync=everysec"),
        {name.replace("_", "-"): each for name, each in measured.items()},
        sizes={MOTET: 100, SINGLE: 10},
        failed={BATCH: "it ended early"},
        latencies_us=[1000, 2000, 3000],
    )


def test_rates_are_compared_run_by_run() -> None:
    made = figures(motet=samples(50, 60), raw=samples(100, 60), faststream_single=samples(5, 6))

    assert made.ratio == Spread(median=0.75, min=0.5, max=1.0)
    assert made.x_faststream_single == Spread(median=10.0, min=10.0, max=10.0)
    assert made.raw_publish_events_per_s == Spread(median=160.0, min=120.0, max=200.0)
    assert (made.p50_ms, made.p99_ms) == (2.0, 3.0)


def test_who_did_not_take_part_is_not_on_the_line_and_who_failed_is_named() -> None:
    line = msgspec.json.decode(msgspec.json.encode(figures(motet=samples(50, 60))))

    assert "raw_events_per_s" not in line
    assert "ratio" not in line
    assert line["failed"] == {BATCH: "it ended early"}
    assert line["n"] == {MOTET: 100, SINGLE: 10}
    assert line["events_per_s"] == {"median": 55.0, "min": 50.0, "max": 60.0}


def test_only_motet_has_memory_figures() -> None:
    assert figures(raw=samples(1, 2)).peak_mb is None
    assert RAW not in figures(raw=samples(1, 2)).n
