"""One small request of each protocol, written by hand, so that nothing has to be installed.

A port that is open says nothing: a server opens it before it can answer, and a proxy for it.
"""

import base64
import http.client
import socket
import struct

_LIMIT_S = 2.0


def ask(host: str, port: int, request: bytes, *, at_least: int, limit_s: float = _LIMIT_S) -> bytes:
    """Send a request and return the beginning of what comes; empty: nothing does."""
    answer = b""
    try:
        with socket.create_connection((host, port), timeout=limit_s) as conn:
            conn.sendall(request)
            while len(answer) < at_least and (more := conn.recv(4096)):
                answer += more
    except OSError:
        return b""
    return answer if len(answer) >= at_least else b""


def redis(host: str, port: int) -> bool:
    """Whether a Redis answers PING, and is not loading its data still."""
    return ask(host, port, b"*1\r\n$4\r\nPING\r\n", at_least=7) == b"+PONG\r\n"


def mqtt(host: str, port: int) -> bool:
    """Whether an MQTT 3.1.1 broker accepts a connection without a name."""
    body = struct.pack(">H4sBBHH", 4, b"MQTT", 4, 0b10, 5, 0)
    answer = ask(host, port, bytes((0x10, len(body))) + body, at_least=4)
    return answer == b"\x20\x02\x00\x00"


def postgres(host: str, port: int, *, user: str, database: str) -> bool:
    """Whether a PostgreSQL asks who we are; while it starts or recovers it sends an error."""
    named = b"".join(word.encode() + b"\0" for word in ("user", user, "database", database))
    body = struct.pack(">I", 3 << 16) + named + b"\0"
    return ask(host, port, struct.pack(">I", len(body) + 4) + body, at_least=1)[:1] == b"R"


def kafka(host: str, port: int) -> bool:
    """Whether a Kafka broker names at least one broker that clients may go to."""
    client = b"motet"
    header = struct.pack(">hhih", 3, 1, 7, len(client)) + client  # Metadata, version 1
    body = header + struct.pack(">i", 0)  # of no topic
    answer = ask(host, port, struct.pack(">i", len(body)) + body, at_least=12)
    if not answer:
        return False
    correlation, brokers = struct.unpack_from(">ii", answer, 4)
    return bool(correlation == 7 and brokers >= 1)


def amqp(host: str, port: int) -> bool:
    """Whether an AMQP 0-9-1 broker opens the conversation."""
    answer = ask(host, port, b"AMQP\x00\x00\x09\x01", at_least=11)
    return answer[:1] == b"\x01" and answer[7:11] == struct.pack(">HH", 10, 10)


def page(host: str, port: int, path: str, *, user: str, password: str) -> int:
    """The status of a page behind a password; 0: nothing answers."""
    known = base64.b64encode(f"{user}:{password}".encode()).decode()
    conn = http.client.HTTPConnection(host, port, timeout=_LIMIT_S)
    try:
        conn.request("GET", path, headers={"Authorization": f"Basic {known}"})
        return conn.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        conn.close()
