"""Metrics, from their catalogue."""

from collections.abc import Iterable

from motet.telemetry import FAMILIES, Family, Kind
from scripts.reference.source import code, table

_OF_AGENTS = "agent_llm", "agent_session"  # filled by agents, which come with a later release


def _now() -> str:
    return _table(family for family in FAMILIES if not family.name.startswith(_OF_AGENTS))


def _later() -> str:
    return _table(family for family in FAMILIES if family.name.startswith(_OF_AGENTS))


def _table(families: Iterable[Family]) -> str:
    return table(
        ("metric", "kind", "labels", "what it counts", "buckets"),
        [
            (
                code(shown(family)),
                family.kind.value,
                ", ".join(map(code, family.labels)),
                family.help,
                ", ".join(f"{bound:g}" for bound in family.buckets),
            )
            for family in families
        ],
    )


def shown(family: Family) -> str:
    """The name that Prometheus sees."""
    return f"{family.name}_total" if family.kind is Kind.COUNTER else family.name


PARTS = {"metrics": _now, "metrics of agents": _later}
