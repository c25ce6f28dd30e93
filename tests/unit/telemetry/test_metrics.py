import re
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import Counter
from prometheus_client.parser import text_string_to_metric_families

from motet.telemetry import FAMILIES, Kind, Lag, Metrics
from motet.telemetry.families import DEPTH, DURATION, ERRORS, LAG, PROCESSED, RECEIVED

# The article's section 10, and the counter its alerts use and its list omits.
ARTICLE = {
    "agent_events_received_total": ("topic", "event_type"),
    "agent_events_processed_total": ("topic", "event_type", "status"),
    "agent_event_processing_duration_seconds": ("event_type",),
    "agent_queue_depth": ("queue_name",),
    "agent_queue_consumer_lag": ("topic", "partition", "consumer_group"),
    "agent_llm_requests_total": ("model", "status"),
    "agent_llm_latency_seconds": ("model",),
    "agent_llm_tokens_used_total": ("model", "token_type"),
    "agent_sessions_active": ("agent_type",),
    "agent_session_duration_seconds": ("agent_type", "outcome"),
    "agent_session_timeout_total": ("agent_type",),
    "agent_errors_total": ("error_type", "event_type", "agent_id"),
    "agent_dlq_items_total": ("reason",),
}


def scrape(metrics: Metrics) -> dict[str, float]:
    text = metrics.render()[0].decode()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


def test_the_families_are_the_articles() -> None:
    suffix = {Kind.COUNTER: "_total", Kind.GAUGE: "", Kind.HISTOGRAM: ""}

    assert {family.name + suffix[family.kind]: family.labels for family in FAMILIES} == ARTICLE


def test_every_family_is_exposed_before_anything_happened() -> None:
    text = Metrics().render()[0].decode()

    for name in ARTICLE:
        assert re.search(rf"^# TYPE {name} ", text, re.MULTILINE)


def test_events_are_counted_by_topic_and_type() -> None:
    metrics = Metrics()

    metrics.received("orders", {"order.created": 3, "order.cancelled": 1})
    metrics.received("orders", {"order.created": 2})

    shown = scrape(metrics)
    assert shown['agent_events_received_total{event_type="order.created",topic="orders"}'] == 5
    assert shown['agent_events_received_total{event_type="order.cancelled",topic="orders"}'] == 1


def test_a_batch_is_one_call_and_each_of_its_events_one_observation() -> None:
    metrics = Metrics()

    metrics.processed("orders", "order.created", status="ok", count=1000, seconds=0.05)
    metrics.processed("orders", "order.created", status="ok", count=1, seconds=99.0)

    shown = scrape(metrics)
    name, series = "agent_event_processing_duration_seconds", 'event_type="order.created"'
    assert metrics.value(PROCESSED, ("orders", "order.created", "ok")) == 1001
    assert metrics.value(DURATION, ("order.created",)) == pytest.approx(149.0)
    assert shown[f'{name}_bucket{{{series},le="0.01"}}'] == 0
    assert shown[f'{name}_bucket{{{series},le="0.05"}}'] == 1000  # bounds are inclusive
    assert shown[f'{name}_bucket{{{series},le="5.0"}}'] == 1000
    assert shown[f'{name}_bucket{{{series},le="+Inf"}}'] == 1001
    assert shown[f"{name}_count{{{series}}}"] == 1001


def test_failures_and_dead_letters_are_counted_by_code() -> None:
    metrics = Metrics()

    metrics.failed("TimeoutError", "order.created", group="payment", count=2)
    metrics.dead("CodecError")

    shown = scrape(metrics)
    labels = 'agent_id="payment",error_type="TimeoutError",event_type="order.created"'
    assert shown[f"agent_errors_total{{{labels}}}"] == 2
    assert shown['agent_dlq_items_total{reason="CodecError"}'] == 1


def test_a_group_that_is_gone_leaves_no_lag_behind() -> None:
    metrics = Metrics()
    metrics.lag([Lag("old", "orders", 0, 1, 10, 9, 0), Lag("new", "orders", 0, 9, 10, 1, 0)])

    metrics.lag([Lag("new", "orders", 0, 10, 10, 0, 0)])
    metrics.depth({"orders": 7})

    assert metrics.value(LAG, ("orders", "0", "old")) == 0
    assert not any('consumer_group="old"' in series for series in scrape(metrics))
    assert metrics.value(DEPTH, ("orders",)) == 7


def test_label_values_beyond_the_limit_are_counted_as_other() -> None:
    metrics = Metrics(limit=3)

    for number in range(1000):
        metrics.received("orders", {f"type.{number}": 1})
        metrics.failed("ValueError", f"type.{number}", group="g")

    assert metrics.value(RECEIVED, ("orders", "type.2")) == 1
    assert metrics.value(RECEIVED, ("orders", "other")) == 997
    assert metrics.value(ERRORS, ("ValueError", "other", "g")) == 997
    assert len([series for series in scrape(metrics) if "type" in series]) < 20


@pytest.mark.parametrize("name", ["x" * 201, "half \ud800 pair", "new\nline"])
def test_a_label_value_no_person_chose_does_not_break_the_scrape(name: str) -> None:
    metrics = Metrics()

    metrics.received("orders", {name: 2})
    metrics.processed("orders", name, status="ok", count=2, seconds=0.1)

    assert metrics.value(RECEIVED, ("orders", "other")) == 2
    assert list(text_string_to_metric_families(metrics.render()[0].decode()))


def test_two_processes_of_metrics_share_nothing() -> None:
    one, other = Metrics(), Metrics()

    one.dead("CodecError")

    assert 'agent_dlq_items_total{reason="CodecError"}' not in scrape(other)


def test_an_application_may_add_its_own() -> None:
    metrics = Metrics()
    Counter("orders_blocked", "Orders blocked.", registry=metrics.registry).inc(4)

    assert scrape(metrics)["orders_blocked_total"] == 4


def test_open_metrics_are_given_to_who_asks_for_them() -> None:
    body, content_type = Metrics().render("application/openmetrics-text; version=1.0.0")

    assert content_type.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")


def test_counting_imports_no_client_library() -> None:
    program = (
        "import sys; from motet.telemetry import Metrics; Metrics().dead('CodecError');"
        "print({'prometheus_client', 'structlog'} & set(sys.modules))"
    )
    source = str(Path(__file__).parents[3] / "src")

    found = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": source},
    )

    assert found.stdout.strip() == "set()"
