"""The catalogue of metrics: the article's names, labels and buckets (its section 10), as data."""

from enum import Enum

import msgspec


class Kind(Enum):
    """How a family's numbers move."""

    COUNTER = "counter"  # only up
    GAUGE = "gauge"  # up and down
    HISTOGRAM = "histogram"  # counts by upper bound


class Family(msgspec.Struct, frozen=True):
    """A metric and the labels that tell its series apart. A counter is shown as `{name}_total`."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str
    buckets: tuple[float, ...] = ()  # upper bounds, ascending, without +Inf


RECEIVED = Family(
    "agent_events_received",
    Kind.COUNTER,
    ("topic", "event_type"),
    "Events taken in at an edge and durable in the log.",
)
PROCESSED = Family(
    "agent_events_processed",
    Kind.COUNTER,
    ("topic", "event_type", "status"),
    "Events handled by a consumer group, by what became of them: ok, retry, dead or repeat.",
)
DURATION = Family(
    "agent_event_processing_duration_seconds",
    Kind.HISTOGRAM,
    ("event_type",),
    "Time an event spent in its handlers, averaged over the events of one commit.",
    (0.01, 0.05, 0.1, 0.5, 1, 2, 5),
)
DEPTH = Family(
    "agent_queue_depth",
    Kind.GAUGE,
    ("queue_name",),
    "Events of a topic not yet done by the slowest group that reads it; 0 when none does.",
)
LAG = Family(
    "agent_queue_consumer_lag",
    Kind.GAUGE,
    ("topic", "partition", "consumer_group"),
    "Events of a partition not yet done by a consumer group.",
)
LLM_REQUESTS = Family(
    "agent_llm_requests", Kind.COUNTER, ("model", "status"), "Requests made to a language model."
)
LLM_LATENCY = Family(
    "agent_llm_latency_seconds",
    Kind.HISTOGRAM,
    ("model",),
    "Time from a request to a language model to the end of its answer.",
    (0.1, 0.5, 1, 2, 5, 10, 30),
)
LLM_TOKENS = Family(
    "agent_llm_tokens_used",
    Kind.COUNTER,
    ("model", "token_type"),
    "Tokens sent to and received from a language model.",
)
SESSIONS = Family(
    "agent_sessions_active", Kind.GAUGE, ("agent_type",), "Agent sessions that have not ended."
)
SESSION_DURATION = Family(
    "agent_session_duration_seconds",
    Kind.HISTOGRAM,
    ("agent_type", "outcome"),
    "Time from the start of an agent session to its end.",
    (30, 60, 300, 600, 1800, 3600),
)
SESSION_TIMEOUTS = Family(
    "agent_session_timeout", Kind.COUNTER, ("agent_type",), "Agent sessions ended by a timeout."
)
ERRORS = Family(
    "agent_errors",
    Kind.COUNTER,
    ("error_type", "event_type", "agent_id"),
    "Failed tries to handle an event; agent_id is the consumer group.",
)
DEAD = Family(
    "agent_dlq_items",
    Kind.COUNTER,
    ("reason",),
    "Events put among the dead letters, by error code.",
)

FAMILIES = (
    RECEIVED,
    PROCESSED,
    DURATION,
    DEPTH,
    LAG,
    LLM_REQUESTS,
    LLM_LATENCY,
    LLM_TOKENS,
    SESSIONS,
    SESSION_DURATION,
    SESSION_TIMEOUTS,
    ERRORS,
    DEAD,
)
"""All of them, in the article's order."""
