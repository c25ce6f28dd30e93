"""The same commands on every transport: what an operator does at night does not depend on it."""

import secrets
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.cli.conftest import Motet
from tests.services import real, valkey

TRANSPORTS: dict[str, Callable[[], str]] = {
    "sqlite": lambda: "sqlite:///shop.db",
    "valkey": lambda: f"{valkey()}?prefix={_prefix()}",
    "redis": lambda: f"{real('redis')}?prefix={_prefix()}",
    "rabbitmq": lambda: f"{real('rabbitmq')}?prefix={_prefix()}",
    "kafka": lambda: f"{real('kafka')}?prefix={_prefix()}",
}


def _prefix() -> str:
    return f"t{secrets.token_hex(4)}."


@pytest.mark.slow
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_topics_and_groups_are_shown_on_every_transport(
    motet: Motet, shop: Path, transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOTET_URL", TRANSPORTS[transport]())
    made = motet("topics", "create", "orders", "--partitions", "3", "--retention", "7d", "--json")
    assert made.code == 0, made.err
    assert (made.json["partitions"], made.json["retention_s"]) == (3, 604_800.0)

    events = shop.with_name("orders.jsonl")
    events.write_text(
        "".join(f'{{"eventType":"order.created","key":"k{n}","payload":{{}}}}\n' for n in range(9))
    )
    assert motet("publish", "orders", str(events)).code == 0
    assert motet("worker", "shop:app", "--until-idle").code == 0

    described = motet("topics", "describe", "orders", "--json").json
    assert described["events"] == 9
    ends = described["ends"]
    assert isinstance(ends, list)
    assert (len(ends), sum(ends)) == (3, 9)
    assert "kept 7d" in motet("topics", "describe", "orders").out

    (group,) = motet("groups", "--json").json["groups"]
    assert (group["group"], group["lag"]) == ("shop", 0)
    assert [place["next"] for place in group["partitions"]] == ends
    assert motet("publish", "orders", str(events)).code == 0
    (behind,) = motet("groups", "--json").json["groups"]
    assert behind["lag"] == 9
    assert "shop: 9 behind, 0 parked" in motet("groups").out

    refused = motet("topics", "create", "orders", "--partitions", "4")
    assert refused.code == 2
    assert "has 3 partitions" in refused.err
    assert motet("doctor", "shop:app").code == 0
