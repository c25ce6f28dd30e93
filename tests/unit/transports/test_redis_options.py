import pytest

from motet.core.errors import ConfigError
from motet.transports.redis.options import Options, parse


def test_a_url_may_say_no_more_than_the_host() -> None:
    assert parse("redis://example.org") == Options("example.org")
    assert parse("redis://example.org").address == "example.org:6379"


def test_a_url_may_say_everything() -> None:
    options = parse(
        "rediss://me:p%40ss@[::1]:7000/3?prefix=shop:&partitions=4&timeout=2&session_timeout=30"
        "&wait=2&waitaof=1&retention=hard&max_events=1000&cloudevents=binary"
        "&tls_ca=ca.pem&tls_cert=me.pem&tls_key=me.key&tls_verify=0"
    )
    assert options == Options(
        "::1",
        port=7000,
        db=3,
        user="me",
        password="p@ss",
        tls=True,
        ca_file="ca.pem",
        cert_file="me.pem",
        key_file="me.key",
        verify=False,
        prefix="shop:",
        partitions=4,
        timeout_s=2.0,
        session_s=30.0,
        wait=2,
        waitaof=True,
        retention="hard",
        max_events=1000,
        cloudevents="binary",
    )
    assert options.address == "[::1]:7000"


def test_an_unknown_option_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"'session_timout'.*'session_timeout'.*prefix"):
        parse("redis://h?session_timout=3")


@pytest.mark.parametrize(
    "rest",
    [
        "h?partitions=0",
        "h?partitions=many",
        "h?timeout=0",
        "h?timeout=soon",
        "h?wait=-1",
        "h?waitaof=yes",
        "h?retention=soft",
        "h?cloudevents=http",
        "h?prefix=a{b}:",
        "h:99999",
        "h/name",
    ],
)
def test_what_is_out_of_bounds_is_refused(rest: str) -> None:
    with pytest.raises(ConfigError):
        parse(f"redis://{rest}")


def test_a_password_is_in_no_refusal() -> None:
    for url in ("redis://me:geheim@h/name", "http://me:geheim@h", "redis://me:geheim@h?wat=1"):
        with pytest.raises(ConfigError) as refusal:
            parse(url)
        assert "geheim" not in str(refusal.value)
