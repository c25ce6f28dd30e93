import pytest

from motet.telemetry import masked


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgres://ann:geheim@db/x", "postgres://ann:***@db/x"),
        ("postgres://ann:ge/h@eim@db/x", "postgres://ann:***@db/x"),
        ("redis://:geheim@cache:6379", "redis://:***@cache:6379"),
        ("https://tok3n@host/path", "https://***@host/path"),
        ("kafka://h?sasl_password=geheim&group=a", "kafka://h?sasl_password=***&group=a"),
        ("http://h/?api_key=geheim", "http://h/?api_key=***"),
        ("sent Bearer geheim.geheim", "sent Bearer ***"),
        ("'amqp://ann:geheim@h' and redis://b:geheim@h", "'amqp://ann:***@h' and redis://b:***@h"),
    ],
)
def test_credentials_in_urls_are_replaced_and_hosts_stay(text: str, shown: str) -> None:
    assert masked(text) == shown
    assert "geheim" not in masked(text)


@pytest.mark.parametrize(
    "text",
    ["sqlite:///.motet/motet.db", "sqlite:////srv/a@b.db", "to ann@example.org", "12:30 @ noon"],
)
def test_what_is_no_secret_is_left_alone(text: str) -> None:
    assert masked(text) == text
