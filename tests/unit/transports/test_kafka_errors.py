import pytest
from confluent_kafka import KafkaError, KafkaException

from motet.core.errors import CodecError, ConfigError, Fenced, MotetError, Unavailable
from motet.transports.kafka.errors import cause, translated


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (KafkaError._TRANSPORT, Unavailable),
        (KafkaError._MSG_TIMED_OUT, Unavailable),
        (KafkaError.NOT_ENOUGH_REPLICAS, Unavailable),
        (KafkaError.MSG_SIZE_TOO_LARGE, CodecError),
        (KafkaError.SASL_AUTHENTICATION_FAILED, ConfigError),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, ConfigError),
        (KafkaError.ILLEGAL_GENERATION, Fenced),
        (KafkaError.PRODUCER_FENCED, Fenced),
    ],
)
def test_an_error_says_what_the_caller_should_do(code: int, kind: type[MotetError]) -> None:
    error = translated(KafkaError(code), doing="publishing to 'orders'", servers="h:9092")
    assert type(error) is kind
    assert str(error).startswith("publishing to 'orders': Kafka at h:9092 says")


def test_an_exception_without_an_error_inside_has_a_cause_all_the_same() -> None:
    assert "odd" in cause(KafkaException("odd")).str()
