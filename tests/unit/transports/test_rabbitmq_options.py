import pytest
from pamqp import commands

from motet.core.errors import ConfigError
from motet.core.event import Partition
from motet.transports.rabbitmq.names import Names
from motet.transports.rabbitmq.options import parse
from motet.transports.rabbitmq.queue_options import parse_queues


def test_a_url_says_where_the_broker_is() -> None:
    options = parse("rabbitmqs://al%40ice:p%2Fw@mq.example:5673/shop?prefix=a.&session_timeout=30")
    address = options.address
    assert (address.host, address.port, address.vhost) == ("mq.example", 5673, "shop")
    assert (address.user, address.password, address.tls) == ("al@ice", "p/w", True)
    assert (options.prefix, options.session_s, address.heartbeat_s) == ("a.", 30.0, 15)


@pytest.mark.parametrize(
    ("url", "port", "vhost"),
    [
        ("amqp://h", 5672, "/"),
        ("amqps://h/", 5671, "/"),
        ("rabbitmq://h/%2F", 5672, "/"),
        ("rabbitmq://h:1/a%2Fb", 1, "a/b"),
    ],
)
def test_port_and_vhost_have_their_defaults(url: str, port: int, vhost: str) -> None:
    address = parse(url).address
    assert (address.port, address.vhost) == (port, vhost)


def test_an_unknown_option_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"did you mean 'partitions'.*segment_bytes"):
        parse("rabbitmq://h?partition=3")


@pytest.mark.parametrize(
    "query", ["partitions=0", "session_timeout=0.1", "cloudevents=xml", "prefetch=many"]
)
def test_a_value_out_of_bounds_is_refused(query: str) -> None:
    with pytest.raises(ConfigError, match=query.partition("=")[0]):
        parse(f"rabbitmq://h?{query}")


def test_no_error_shows_the_password() -> None:
    for url in ("rabbitmq://u:secret@h/a/b", "rabbitmq://u:secret@h:x", "kafka://u:secret@h"):
        with pytest.raises(ConfigError) as refusal:
            parse(url)
        assert "secret" not in str(refusal.value)


def test_the_text_of_an_address_has_no_password() -> None:
    address = parse("rabbitmq://u:secret@h").address
    assert "secret" not in f"{address} {address!r}"


def test_a_name_that_is_too_long_for_the_broker_is_shortened_and_stays_its_own() -> None:
    names = Names("p.")
    one, two = (names.lease("g" * 200, Partition("t" * 200, index)) for index in (1, 2))
    assert len(one) <= 127
    assert one != two
    assert one == names.lease("g" * 200, Partition("t" * 200, 1))


def test_a_group_may_be_called_anything() -> None:
    names = Names("")
    odd = [names.group(group) for group in ("a b", "a*b", "заказы", "a\x00b")]
    assert len(set(odd)) == 4
    for name in odd:
        commands.Exchange.Declare(exchange=name)  # refuses what it does not know


def test_a_url_of_queues_says_how_they_are_declared() -> None:
    named = parse_queues(
        "amqp://h?queue=work&count=2&declare=quorum&exchange=shop&exchange_type=topic"
        "&key=order.*&key=stock.%23&ttl=1.5&dead_letter_exchange=dead&delivery_limit=3"
    )
    assert named.queues == ("work.0", "work.1")
    assert named.topology is not None
    first = named.topology.queues[0]
    assert first.arguments() == {
        "x-queue-type": "quorum",
        "x-message-ttl": 1500,
        "x-dead-letter-exchange": "dead",
        "x-delivery-limit": 3,
        "x-single-active-consumer": True,
    }
    assert [each.key for each in named.topology.bindings] == ["order.*", "stock.#"] * 2


def test_queues_are_not_declared_unless_the_url_says_so() -> None:
    assert parse_queues("amqp://h?queue=work").topology is None


@pytest.mark.parametrize("url", ["amqp://h", "amqp://h?queue="])
def test_a_url_without_a_queue_is_no_source(url: str) -> None:
    with pytest.raises(ConfigError, match="names no queue"):
        parse_queues(url)


def test_a_classic_queue_has_no_delivery_limit() -> None:
    named = parse_queues("amqp://h?queue=q&declare=classic&delivery_limit=2")
    assert named.topology is not None
    with pytest.raises(ConfigError, match="delivery limit"):
        named.topology.queues[0].arguments()
