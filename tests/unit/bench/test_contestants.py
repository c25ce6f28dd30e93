from collections.abc import Sequence

import pytest

from motet.bench.cases import PipelineCase
from motet.bench.contest import url_of
from motet.bench.contestants import BATCH, FIELDS, MOTET, QUORUM, RAW, SINGLE, chosen, field
from motet.core.errors import ConfigError


def names(transport: str, only: tuple[str, ...] = ()) -> Sequence[str]:
    return [each.name for each in chosen(FIELDS[transport], only)[0]]


def test_a_transport_that_is_not_known_is_refused_with_those_that_are() -> None:
    with pytest.raises(ConfigError, match="embedded, kafka, rabbitmq, redis"):
        field(PipelineCase(transport="nats", url="nats://here"))


def test_without_a_url_it_is_said_how_to_start_a_broker() -> None:
    with pytest.raises(ConfigError, match="make services"):
        field(PipelineCase(transport="kafka"))


def test_the_url_of_another_transport_is_refused() -> None:
    with pytest.raises(ConfigError, match="is no kafka"):
        field(PipelineCase(transport="kafka", url="redis://127.0.0.1"))


def test_rabbitmq_takes_both_of_its_schemes() -> None:
    for url in ("amqp://127.0.0.1", "rabbitmq://127.0.0.1"):
        assert field(PipelineCase(transport="rabbitmq", url=url)).transport == "rabbitmq"


def test_only_chooses_contestants_in_the_order_they_are_measured() -> None:
    assert names("redis", (RAW, MOTET)) == [MOTET, RAW]


def test_a_contestant_that_there_is_not_on_a_broker_is_refused() -> None:
    with pytest.raises(ConfigError, match=f"no contestant '{BATCH}' on rabbitmq"):
        chosen(FIELDS["rabbitmq"], (BATCH,))


def test_faststream_is_left_out_where_it_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("motet.bench.contestants.find_spec", lambda name: None)

    contestants, note = chosen(FIELDS["rabbitmq"], ())

    assert [each.name for each in contestants if each.name == SINGLE] == []
    assert QUORUM in [each.name for each in contestants]
    assert "not installed" in note


def test_nothing_is_said_of_faststream_where_nobody_asked_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("motet.bench.contestants.find_spec", lambda name: None)

    assert chosen(FIELDS["redis"], (MOTET, RAW))[1] == ""


def test_motets_names_on_a_broker_are_apart_for_each_run_and_options_are_kept() -> None:
    redis = FIELDS["redis"]
    motet, raw = (chosen(redis, (name,))[0][0] for name in (MOTET, RAW))
    url = "redis://127.0.0.1:6379/2?timeout=3"

    assert url_of(url, redis, motet, "run-1") == f"{url}&prefix=run-1:"
    assert url_of(url, redis, raw, "run-1") == "redis://127.0.0.1:6379/2"


def test_others_than_motet_get_a_scheme_that_their_clients_know() -> None:
    rabbitmq = FIELDS["rabbitmq"]
    (raw,), _ = chosen(rabbitmq, (RAW,))

    assert url_of("rabbitmq://u:p@here/v", rabbitmq, raw, "run-1") == "amqp://u:p@here/v"
