"""Start and stop the servers that tests and development use.

    python -m scripts.services start [NAME...]    install what is missing, start, wait for answers
    python -m scripts.services status [NAME...]   exit code 1 unless each answers
    python -m scripts.services stop [NAME...]     end what `start` has started; the data stays

`--json` prints the table as one line of JSON. MOTET_SERVICES_PORT_BASE and MOTET_SERVICES_FOLDER
say where the servers are, in place of 28400 and build/services.
"""

import argparse
import fcntl
import json
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager

from scripts.services import jars, packages
from scripts.services.known import NAMES, folder, known
from scripts.services.service import Service, ServiceError


def state(service: Service) -> str:
    """How a server is, in the words of the table."""
    if service.answering():
        return "answers" if service.running else "answers, not started from here"
    return "runs, does not answer" if service.running else "stopped"


def table(services: Sequence[Service]) -> list[dict[str, str]]:
    """A row for each thing that can be connected to."""
    return [
        {"name": name, "url": url, "state": found}
        for service in services
        for found in [state(service)]
        for name, url in service.urls.items()
    ]


def rendered(rows: Sequence[dict[str, str]]) -> str:
    """Rows for people."""
    heads = {"name": "SERVICE", "url": "URL", "state": "STATE"}
    lines = [heads, *rows]
    width = {key: max(len(line[key]) for line in lines) for key in heads}
    return "\n".join(
        "  ".join(line[key].ljust(width[key]) for key in heads).rstrip() for line in lines
    )


def install(services: Sequence[Service]) -> None:
    """Install what the servers need and this machine lacks."""
    wanted = sorted({package for each in services for package in each.missing()})
    if wanted:
        say(f"services: installing {', '.join(wanted)}")
        packages.install(wanted)
    if any(each.name == "kafka" for each in services) and not jars.here():
        say(f"services: fetching Apache Kafka {jars.VERSION}")
        jars.fetch()


def start(services: Sequence[Service]) -> list[str]:
    """Start those that do not answer, side by side; what went wrong."""
    waiting = [each for each in services if not each.answering()]
    for each in services:
        if each not in waiting:
            say(f"{each.name}: answers already")
    install(waiting)
    problems = []
    with ThreadPoolExecutor(max_workers=len(services)) as pool:
        jobs = {pool.submit(each.start): each for each in waiting}
        for job in as_completed(jobs):
            try:
                say(f"{jobs[job].name}: answers after {job.result():.1f} s")
            except ServiceError as error:
                problems.append(str(error))
                say(str(error))
    return problems


def stop(services: Sequence[Service]) -> None:
    """End those that were started from here, side by side."""
    with ThreadPoolExecutor(max_workers=len(services)) as pool:
        for line in pool.map(_stopped, services):
            say(line)


def _stopped(service: Service) -> str:
    was = service.running
    service.stop()
    return f"{service.name}: {'stopped' if was else 'was not running'}"


def say(line: str) -> None:
    """Progress, beside the table."""
    print(line, file=sys.stderr, flush=True)


@contextmanager
def _alone() -> Iterator[None]:
    """One start or stop at a time for a folder."""
    folder().mkdir(parents=True, exist_ok=True)
    with (folder() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main(arguments: Sequence[str]) -> int:
    """Do what was typed and give the exit code."""
    parser = argparse.ArgumentParser(
        "scripts.services", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=("start", "stop", "status"))
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(arguments)
    try:
        return _do(asked.what, asked.names or NAMES, as_json=asked.json)
    except ServiceError as error:
        say(f"services: {error}")
        return 1


def _do(what: str, names: Sequence[str], *, as_json: bool) -> int:
    services = [known(name) for name in names]
    problems: list[str] = []
    if what == "start":
        with _alone():
            problems = start(services)
    elif what == "stop":
        with _alone():
            stop(services)
        return 0
    rows = table(services)
    print(json.dumps(rows) if as_json else rendered(rows))
    return int(bool(problems) or any(not row["state"].startswith("answers") for row in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
