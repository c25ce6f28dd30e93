"""Posting over many keep-alive connections, to see what the HTTP side can take.

In the measured path: sockets, uvicorn, decoding, `Transport.publish`, the answer. The client is a
process of its own on the same machine. `python tests/integration/load.py URL [SECONDS] [EVENTS]`
prints one JSON line; EVENTS > 1 posts JSON lines.
"""

import json
import os
import selectors
import socket
import sys
import time
from urllib.parse import urlsplit

CONNECTIONS = 64


def body_of(number: int, events: int) -> bytes:
    lines = [
        json.dumps(
            {
                "eventId": f"{os.getpid()}-{number}-{index}",
                "eventType": "order.created",
                "timestamp": "2026-05-25T10:15:30Z",
                "payload": {"sessionId": f"s{(number + index) % 997}", "note": "x" * 250},
            }
        )
        for index in range(events)
    ]
    return "\n".join(lines).encode()


def request(number: int, events: int) -> bytes:
    body = body_of(number, events)
    kind = "application/json" if events == 1 else "application/x-ndjson"
    head = f"POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-type: {kind}\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


def complete(answer: bytes) -> bool:
    head, found, body = answer.partition(b"\r\n\r\n")
    length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return bool(found) and len(body) >= int(length or 0)


def run(url: str, seconds: float, events: int) -> dict[str, object]:
    place = urlsplit(url)
    selector = selectors.DefaultSelector()
    number, done, statuses, latencies = 0, 0, {}, []
    pending: dict[socket.socket, tuple[bytes, float]] = {}
    for _ in range(CONNECTIONS):
        connection = socket.create_connection((place.hostname, place.port))
        selector.register(connection, selectors.EVENT_READ)
        number += 1
        pending[connection] = (b"", time.perf_counter())
        connection.sendall(request(number, events))
    began = time.perf_counter()
    while (now := time.perf_counter()) - began < seconds:
        for key, _ in selector.select(1.0):
            connection = key.fileobj
            assert isinstance(connection, socket.socket)
            answer, sent = pending[connection]
            answer += connection.recv(1 << 20)
            if not complete(answer):
                pending[connection] = (answer, sent)
                continue
            status = answer[9:12].decode()
            statuses[status] = statuses.get(status, 0) + 1
            done += 1
            latencies.append(time.perf_counter() - sent)
            number += 1
            pending[connection] = (b"", time.perf_counter())
            connection.sendall(request(number, events))
    took = now - began
    latencies.sort()
    return {
        "name": "http-post",
        "n": done * events,
        "events_per_request": events,
        "connections": CONNECTIONS,
        "requests_per_s": round(done / took),
        "events_per_s": round(done * events / took),
        "p50_ms": round(latencies[len(latencies) // 2] * 1000, 2),
        "p99_ms": round(latencies[len(latencies) * 99 // 100] * 1000, 2),
        "statuses": statuses,
    }


if __name__ == "__main__":
    given = sys.argv[1:] + ["5", "1"][len(sys.argv) - 2 :]
    sys.stdout.write(json.dumps(run(given[0], float(given[1]), int(given[2]))) + "\n")
