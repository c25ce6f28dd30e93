"""librdkafka's errors become Motet's, here and nowhere else."""

from confluent_kafka import KafkaError, KafkaException

from motet.core.errors import CodecError, ConfigError, Fenced, MotetError, Unavailable

_WRONG = {
    KafkaError.RECORD_LIST_TOO_LARGE: "raise max.message.bytes of the topic",
    KafkaError.TOPIC_EXCEPTION: "the broker does not take that name for a topic",
    KafkaError.INVALID_REPLICATION_FACTOR: (
        "give replication=N in the URL, not more than the cluster has brokers"
    ),
    KafkaError.INVALID_PARTITIONS: "give a number of partitions above 0",
    KafkaError.INVALID_CONFIG: "the broker refuses a setting of the topic",
    KafkaError.POLICY_VIOLATION: "a policy of the cluster forbids it",
    KafkaError.INVALID_SESSION_TIMEOUT: (
        "give a session_timeout in the URL that the broker allows: from "
        "group.min.session.timeout.ms to group.max.session.timeout.ms"
    ),
    KafkaError.SASL_AUTHENTICATION_FAILED: "look at user, password and sasl_mechanism in the URL",
    KafkaError._AUTHENTICATION: "look at user, password and sasl_mechanism in the URL",
    KafkaError.UNSUPPORTED_SASL_MECHANISM: "give another sasl_mechanism in the URL",
    KafkaError._SSL: "look at ca, cert and key in the URL",
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "allow it to this user with an ACL on the topic",
    KafkaError.GROUP_AUTHORIZATION_FAILED: "allow it to this user with an ACL on the group",
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "allow it to this user with an ACL on the cluster",
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: (
        "allow it to this user with an ACL on the transactional id"
    ),
    KafkaError._INVALID_ARG: "the client refuses it",
    KafkaError.UNSUPPORTED_VERSION: "the broker is too old for it",
}

_TOO_LARGE = (
    "an event is larger than the topic takes: raise max.message.bytes of the topic, and "
    "max_event_bytes in the URL"
)

FENCING = frozenset(
    {
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.INVALID_PRODUCER_EPOCH,
        KafkaError.PRODUCER_FENCED,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError._ASSIGNMENT_LOST,
        KafkaError._FENCED,
    }
)
"""Codes by which the broker says that another member has the partition now."""

LACKING = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError._UNKNOWN_TOPIC,
    }
)
"""Codes by which a client says that a topic, or a partition of it, is not there."""


def cause(err: KafkaException) -> KafkaError:
    """Return the error inside an exception."""
    inner = err.args[0] if err.args else None
    return inner if isinstance(inner, KafkaError) else KafkaError(KafkaError._FAIL, str(err))


def translated(error: KafkaError, *, doing: str, servers: str) -> MotetError:
    """Return the error to raise; `doing` says what failed: "publishing to 'orders'"."""
    said = f"{doing}: Kafka at {servers} says {error.name()} ({error.str()})"
    if error.code() in FENCING:
        return Fenced(said)
    if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:  # one event's fault: the others can go on
        return CodecError(f"{said}: {_TOO_LARGE}")
    if (advice := _WRONG.get(error.code())) is not None:
        return ConfigError(f"{said}: {advice}")
    return Unavailable(f"{said}; is the broker running and reachable?")
