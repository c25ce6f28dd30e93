"""Hostile bodies, made from valid ones, posted to a live server; and what must be true afterwards.

    python tests/integration/hostile.py [--count 10000] [--seed 1] [--url URL | --backend URL]

With `--url` a server that is running already is used; its log should be empty, or hold no
event of this run. Otherwise one is started over `--backend` (a SQLite file in a temporary
folder). Bodies are sent by curl if it is installed, else over plain sockets. Ends with one JSON
line; exit code 1 if anything was not as it must be:

- every answer is 2xx or 4xx, the refusals as application/problem+json;
- every event accepted is found in the log, and nothing else is;
- every refusal names what was refused; of batches made with known bad items, exactly those;
- the process lives.
"""

import argparse
import asyncio
import http.client
import json
import random
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, urlsplit


class Case(NamedTuple):
    """A request, and the items in it that cannot be taken, where that is known."""

    path: str
    headers: dict[str, str]
    body: bytes
    bad: frozenset[int] | None = None


class Answer(NamedTuple):
    status: int
    content_type: str
    body: bytes


JSON, LINES = "application/json", "application/x-ndjson"
STRUCTURED, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"


def article(rng: random.Random) -> dict[str, object]:
    event: dict[str, object] = {
        "eventId": f"{rng.getrandbits(128):032x}",
        "eventType": rng.choice(["order.created", "user.message.received", "llm.responded"]),
        "timestamp": "2026-05-25T10:15:30.123Z",
        "version": rng.randrange(1, 4),
        "correlationId": f"c{rng.randrange(100)}",
        "payload": {
            "sessionId": f"s{rng.randrange(50)}",
            "total": rng.random() * 100,
            "items": [{"sku": "A-1", "qty": rng.randrange(9)}] * rng.randrange(4),
            "note": "zażółć gęślą jaźń \U0001f600"[: rng.randrange(20)],
        },
        "metadata": {"traceContext": {"traceId": "0af7651916cd43dd8448eb211c80319c"}},
    }
    if rng.random() < 0.3:
        del event["eventId"]
    return event


def cloud(rng: random.Random) -> dict[str, object]:
    return {
        "specversion": "1.0",
        "id": f"{rng.getrandbits(64):x}",
        "source": "/agents/a1",
        "type": "order.created",
        "time": "2026-05-25T10:15:30Z",
        "subject": f"s{rng.randrange(50)}",
        "datacontenttype": "application/json",
        "data": {"n": rng.randrange(1000)},
    }


def dumped(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def valid(rng: random.Random) -> Case:
    many = rng.choice([1, 2, 3, 10, 40])
    kind = rng.randrange(6)
    if kind == 0:
        return Case("/v1/events", {"content-type": JSON}, dumped(article(rng)))
    if kind == 1:
        body = dumped([article(rng) for _ in range(many)])
        return Case("/v1/topics/orders/events", {"content-type": JSON}, body)
    if kind == 2:
        body = b"\n".join(dumped(article(rng)) for _ in range(many))
        return Case("/v1/events?topic=lines", {"content-type": LINES}, body)
    if kind == 3:
        return Case("/v1/events", {"content-type": STRUCTURED}, dumped(cloud(rng)))
    if kind == 4:
        body = dumped([cloud(rng) for _ in range(many)])
        return Case("/v1/events", {"content-type": BATCH}, body)
    event = cloud(rng)
    data = dumped(event.pop("data"))
    event.pop("datacontenttype")
    headers = {f"ce-{name}": str(value) for name, value in event.items()}
    return Case("/v1/events", {"content-type": JSON, **headers}, data)


NASTY = (
    *(b"NaN", b"-Infinity", b"1e999", b"-0", b"9" * 400, b"9" * 5000, b"0x10", b"01", b"1.", b".5"),
    *(b'"\\ud800"', b'"\\u0000"', b'"\x00"', b'"\xff\xfe"', b'"\xc0\x80"', b'"\xed\xa0\x80"'),
    *(b"[" * 120 + b"]" * 120, b"[" * 3000, b'{"a":' * 150 + b"1" + b"}" * 150),
    *(b"null", b"true", b"{}", b"[]", b'""', b"'x'", b"undefined", b"//c\n1", b"/* */ 1"),
    *(b'"' + b"x" * 300_000 + b'"', b'"\xf0\x9f\x98\x80"', b'"a\nb"', b'{"a":1,"a":2}'),
)
TYPES = (
    *(JSON, LINES, STRUCTURED, BATCH, "", "text/plain", "application/xml", "image/png", "%%"),
    *("application/json; charset=utf-16", "application/json;charset=latin-1", "application/json;;"),
    *("application/vnd.api+json", "multipart/form-data; boundary=x", "*/*", "a" * 500),
)
PATHS = (
    *("/v1/events", "/v1/events?topic=", "/v1/events?topic=a&topic=b", "/v1/events?x=1"),
    *("/v1/topics/%00/events", "/v1/topics/..%2f..%2fetc/events", "/v1/topics/" + "t" * 300),
    *("/v1/topics/%ff/events", "/v1/events?topic=%F0%9F%98%80", "/v1/events?%", "/v1/nothing"),
)


def flip(rng: random.Random, body: bytes) -> bytes:
    flipped = bytearray(body)
    for _ in range(rng.choice([1, 1, 2, 8])):
        if flipped:
            flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
    return bytes(flipped)


def cut(rng: random.Random, body: bytes) -> bytes:
    return body[: rng.randrange(len(body) + 1)]


def drop(rng: random.Random, body: bytes) -> bytes:
    start = rng.randrange(len(body) + 1)
    return body[:start] + body[start + rng.choice([1, 2, 5, 50]) :]


def repeat(rng: random.Random, body: bytes) -> bytes:
    start = rng.randrange(len(body) + 1)
    piece = body[start : start + rng.choice([1, 5, 50, 500])]
    return body[:start] + piece * rng.choice([1, 2, 20]) + body[start:]


def insert(rng: random.Random, body: bytes) -> bytes:
    start = rng.randrange(len(body) + 1)
    return body[:start] + rng.choice(NASTY) + body[start:]


def replace_value(rng: random.Random, body: bytes) -> bytes:
    """Put something nasty where a value stands."""
    places = [at for at in range(len(body) - 1) if body[at : at + 1] == b":"]
    if not places:
        return insert(rng, body)
    start = rng.choice(places) + 1
    ends = [at for at in (body.find(b",", start), body.find(b"}", start)) if at >= 0]
    return body[:start] + rng.choice(NASTY) + body[min(ends, default=len(body)) :]


def rename(rng: random.Random, body: bytes) -> bytes:
    names = [b"eventId", b"eventType", b"timestamp", b"payload", b"metadata", b"id", b"type"]
    return body.replace(rng.choice(names), rng.choice([*names, b"", b"\\u0065ventId"]))


def encode(rng: random.Random, body: bytes) -> bytes:
    text = body.decode(errors="replace")
    return rng.choice([b"\xef\xbb\xbf" + body, text.encode("utf-16"), text.encode("utf-32")])


def swap(rng: random.Random, body: bytes) -> bytes:
    old, new = rng.sample([b"{", b"}", b"[", b"]", b'"', b":", b",", b"\\", b"\n", b"\x00"], 2)
    return body.replace(old, new, rng.choice([1, 2, -1]))


def anything(rng: random.Random, body: bytes) -> bytes:
    return rng.choice([b"", b"\x00" * 100, rng.randbytes(len(body)), *NASTY])


CHANGES: Sequence[Callable[[random.Random, bytes], bytes]] = (
    *(flip, flip, cut, drop, repeat, insert, insert),
    *(replace_value, replace_value, replace_value, rename, encode, swap, anything),
)
BAD_ITEMS: Sequence[object] = (
    *({}, [], None, 7, "text", {"eventType": 7}, {"eventType": ""}, {"eventType": None}),
    *({"eventType": "a", "timestamp": "yesterday"}, {"eventType": "a", "version": 0}),
    *({"eventType": "a", "metadata": []}, {"specversion": "1.0", "id": "x", "type": "t"}),
    *({"eventType": "a\x00b"}, {"eventType": "a", "eventId": ""}, {"eventType": "x" * 999}),
)


def marked(rng: random.Random) -> Case:
    """Make a batch of which it is known what has to be refused."""
    count = rng.choice([1, 2, 5, 30])
    bad = frozenset(index for index in range(count) if rng.random() < 0.3)
    items = [rng.choice(BAD_ITEMS) if index in bad else article(rng) for index in range(count)]
    if rng.random() < 0.5:
        return Case("/v1/events", {"content-type": JSON}, dumped(items), bad)
    return Case("/v1/events", {"content-type": LINES}, b"\n".join(map(dumped, items)), bad)


def cases(seed: int, count: int) -> Iterator[Case]:
    """Yield `count` requests; the same seed gives the same."""
    rng = random.Random(seed)
    for _ in range(count):
        if rng.random() < 0.15:
            yield marked(rng)
            continue
        case = valid(rng)
        for _ in range(rng.choice([0, 1, 1, 1, 2, 3])):
            case = case._replace(body=rng.choice(CHANGES)(rng, case.body))
        if rng.random() < 0.05:
            case = case._replace(headers=case.headers | {"content-type": rng.choice(TYPES)})
        if rng.random() < 0.05:
            case = case._replace(path=rng.choice(PATHS))
        if rng.random() < 0.02:
            case = case._replace(headers=case.headers | {"content-encoding": "gzip"})
        yield case


class Ledger:
    """What was answered; `faults` is what should not have been."""

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self.accepted: Counter[tuple[str, str]] = Counter()  # (topic, id)
        self.new = 0  # of the accepted, those not answered as duplicates
        self.logged = 0
        self.refused = 0
        self.faults: list[str] = []

    def enter(self, number: int, case: Case, answer: Answer) -> None:
        self.statuses[answer.status] += 1
        try:
            if answer.status == 202:
                self._accepted(number, case, json.loads(answer.body))
            elif 400 <= answer.status < 500:
                self._refused(number, case, answer)
            else:
                self._fault(number, f"status {answer.status}: {answer.body[:200]!r}")
        except (ValueError, KeyError, TypeError) as err:
            self._fault(number, f"{answer.status} with {err!r}: {answer.body[:200]!r}")

    def _accepted(self, number: int, case: Case, told: dict) -> None:
        self.accepted.update((told["topic"], id) for id in told["ids"])
        self.new += told["accepted"] - told["duplicates"]
        if len(told["ids"]) != told["accepted"]:
            self._fault(number, "not as many ids as events")
        if case.bad:
            self._fault(number, f"accepted in spite of items {sorted(case.bad)}")

    def _refused(self, number: int, case: Case, answer: Answer) -> None:
        problem = json.loads(answer.body)
        if not answer.content_type.startswith("application/problem+json"):
            self._fault(number, f"a refusal as {answer.content_type!r}")
        if problem["status"] != answer.status or not problem["title"]:
            self._fault(number, f"an odd problem: {answer.body[:200]!r}")
        if answer.status not in (400, 422):
            return
        named = [item["index"] for item in problem["errors"]]
        self.refused += len(named)
        if not named or not all(item["detail"] for item in problem["errors"]):
            self._fault(number, "a refusal that names nothing")
        if case.bad is not None and frozenset(named) != case.bad:
            self._fault(number, f"named {named}, not {sorted(case.bad)}")

    def compare(self, logged: Counter[tuple[str, str]]) -> None:
        """Compare with the log: all that was accepted, nothing else, nothing twice."""
        self.logged = logged.total()
        if lost := self.accepted.keys() - logged.keys():
            self.faults.append(f"{len(lost)} accepted and not in the log: {sorted(lost)[:3]}")
        if extra := logged.keys() - self.accepted.keys():
            self.faults.append(f"{len(extra)} in the log and never accepted: {sorted(extra)[:3]}")
        if self.logged != self.new:
            self.faults.append(f"{self.logged} in the log, {self.new} answered as new")

    def _fault(self, number: int, text: str) -> None:
        self.faults.append(f"case {number}: {text}")


def read_log(url: str) -> Counter[tuple[str, str]]:
    """Return how often each (topic, id) is in the log, read over HTTP."""
    logged: Counter[tuple[str, str]] = Counter()
    for topic in _get(f"{url}/v1/topics")["topics"]:
        name = topic["name"]
        for partition, end in enumerate(topic["ends"]):
            offset = 0
            while offset < end:
                place = f"{url}/v1/topics/{quote(name)}/events"
                page = _get(f"{place}?partition={partition}&offset={offset}&limit=1000")
                logged.update((name, record["event"]["eventId"]) for record in page["records"])
                offset = page["next"]
    return logged


def _get(url: str) -> dict:
    with urllib.request.urlopen(url, timeout=60) as answer:
        return json.loads(answer.read())


def send_with_curl(url: str, numbered: Sequence[tuple[int, Case]], folder: Path) -> list[Answer]:
    """Post with one curl process, one request after the other."""
    config: list[str] = []
    for number, case in numbered:
        (folder / f"{number}.in").write_bytes(case.body)
        config += [
            f'url = "{url}{case.path}"',
            *(f"header = {json.dumps(f'{name}: {text}')}" for name, text in case.headers.items()),
            'header = "Expect:"',
            f'data-binary = "@{folder / f"{number}.in"}"',
            f'output = "{folder / f"{number}.out"}"',
            'write-out = "%{http_code} %{content_type}\\n"',
            "globoff",
            "path-as-is",
            "silent",
            "max-time = 60",
            "next",
        ]
    ran = subprocess.run(
        ["curl", "--config", "-"], input="\n".join(config[:-1]), capture_output=True, text=True
    )
    heads = [line.partition(" ") for line in ran.stdout.splitlines()]
    answers = []
    for (number, _), (status, _, content_type) in zip(numbered, heads, strict=True):
        out = folder / f"{number}.out"
        answers.append(Answer(int(status), content_type, out.read_bytes() if out.exists() else b""))
        out.unlink(missing_ok=True)
        (folder / f"{number}.in").unlink()
    return answers


def send_with_sockets(url: str, numbered: Sequence[tuple[int, Case]], folder: Path) -> list[Answer]:
    """Post over one keep-alive connection, opened again where the server closed it."""
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=60)
    answers = []
    for _, case in numbered:
        connection.request("POST", case.path, case.body, case.headers)
        answer = connection.getresponse()
        answers.append(Answer(answer.status, answer.headers.get("content-type", ""), answer.read()))
    connection.close()
    return answers


def attack(url: str, *, seed: int, count: int, share: int = 500) -> Ledger:
    """Post `count` hostile bodies and return what came of them, compared with the log."""
    send = send_with_curl if shutil.which("curl") else send_with_sockets
    ledger = Ledger()
    numbered = list(enumerate(cases(seed, count)))
    with tempfile.TemporaryDirectory() as folder:
        for start in range(0, count, share):
            part = numbered[start : start + share]
            for (number, case), answer in zip(part, send(url, part, Path(folder)), strict=True):
                ledger.enter(number, case, answer)
            if _get(f"{url}/healthz")["status"] != "ok":
                ledger.faults.append(f"not alive after case {start + len(part)}")
    ledger.compare(read_log(url))
    return ledger


async def serve(backend: str) -> None:
    """Serve a backend and print the URL; for the child process."""
    from motet.backends import connect
    from motet.server import Services, api, serving

    async with connect(backend) as backends:
        services = Services(transport=backends.transport, store=backends.store)
        async with serving(api(services), port=0) as url:
            sys.stdout.write(f"{url}\n")
            sys.stdout.flush()
            await asyncio.Event().wait()


def main() -> int:
    """Run as a program."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--url", help="of a server that runs already")
    parser.add_argument("--backend", help="of the server to start")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve:
        asyncio.run(serve(asked.serve))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        child, url = None, asked.url
        if url is None:
            backend = asked.backend or f"sqlite:///{folder}/hostile.db"
            child = subprocess.Popen(
                [sys.executable, __file__, "--serve", backend], stdout=subprocess.PIPE, text=True
            )
            url = (child.stdout.readline() if child.stdout else "").strip()
            if not url:
                return child.wait() or 1
        try:
            ledger = attack(url, seed=asked.seed, count=asked.count)
            if child is not None and child.poll() is not None:
                ledger.faults.append(f"the server ended with code {child.returncode}")
        finally:
            if child is not None:
                child.terminate()
                child.wait()
    report = {
        "bodies": asked.count,
        "seed": asked.seed,
        "sent_with": "curl" if shutil.which("curl") else "sockets",
        "statuses": {str(status): n for status, n in sorted(ledger.statuses.items())},
        "events_accepted": ledger.accepted.total(),
        "events_in_the_log": ledger.logged,
        "items_refused_by_name": ledger.refused,
        "faults": ledger.faults[:20],
    }
    sys.stdout.write(json.dumps(report, indent=1) + "\n")
    return 1 if ledger.faults else 0


if __name__ == "__main__":
    sys.exit(main())
