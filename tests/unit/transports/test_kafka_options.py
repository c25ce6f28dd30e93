import pytest

from motet.core.errors import ConfigError
from motet.transports.kafka.options import parse_url


def test_a_url_names_hosts_and_the_port_is_kafkas_own_by_default() -> None:
    address = parse_url("kafka://a,b:9093,[::1]:9094,[::2]")
    assert address.servers == "a:9092,b:9093,[::1]:9094,[::2]:9092"
    assert "security.protocol" not in address.client


def test_options_have_the_types_they_are_declared_with() -> None:
    options = parse_url("kafka://h?partitions=3&session_timeout=1.5&prefix=p.").options
    assert (options.partitions, options.session_timeout, options.prefix) == (3, 1.5, "p.")


def test_a_user_in_the_url_logs_in_and_kafkas_encrypts() -> None:
    client = parse_url("kafkas://me:a%40b@h?sasl_mechanism=SCRAM-SHA-256&ca=/ca.pem").client
    assert client["security.protocol"] == "sasl_ssl"
    assert (client["sasl.username"], client["sasl.password"]) == ("me", "a@b")
    assert client["sasl.mechanism"] == "SCRAM-SHA-256"
    assert client["ssl.ca.location"] == "/ca.pem"
    assert parse_url("kafka://me:x@h").client["security.protocol"] == "sasl_plaintext"
    assert parse_url("kafkas://h").client["security.protocol"] == "ssl"


def test_any_setting_of_librdkafka_can_be_given() -> None:
    client = parse_url("kafka://h?rdkafka.linger.ms=20&rdkafka.log_level=7").client
    assert (client["linger.ms"], client["log_level"]) == ("20", "7")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("kafka://h?sesion_timeout=3", "did you mean 'session_timeout'"),
        ("kafka://h?zzz=3", "There are ca, cert"),
        ("kafka://h?partitions=0", "above 0"),
        ("kafka://h?partitions=many", "partitions"),
        ("kafka://h?transactions=maybe", "transactions"),
        ("kafka://h/topic", "no path"),
        ("kafka://", "has hosts"),
    ],
)
def test_a_url_of_no_use_is_refused_and_keeps_its_password(url: str, says: str) -> None:
    url = url.replace("://h", "://me:geheim@h")
    with pytest.raises(ConfigError, match=says) as refusal:
        parse_url(url)
    assert "geheim" not in str(refusal.value)
