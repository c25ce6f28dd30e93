"""What a seed decides: the size of the world, what fails in it, and how the app is set up."""

import random
from hashlib import blake2b

import msgspec

from motet import RetryPolicy, Settings
from motet.testing import FaultPlan

PUBLISHERS = 2


class Scenario(msgspec.Struct, frozen=True):
    """Drawn once; nothing else in a run looks at the seed but the faults and the order of tasks."""

    seed: int
    broker: bool  # the log keeps repeats, and lives elsewhere
    shared: bool  # emits join the commit; otherwise a relay publishes them
    partitions: int
    keys: int
    events: int
    trickle: bool  # they come one at a time, at about the pace they are handled
    processes: int
    faults: FaultPlan
    retry: RetryPolicy
    settings: Settings
    failing: float  # share of (group, event) that fail for the first tries
    fatal: float  # share that fail until an operator has mended them
    undecodable: float  # share of the input whose payload is not what the handler takes
    lanes: bool  # the first group handles keys side by side, not batch by batch
    threads: bool  # the group that skips has a blocking handler
    broken: int  # pieces of the input that are no events
    lease_ttl_s: float  # how long a dead process keeps its partitions
    restless: bool  # processes are stopped and started all the time
    redrives: bool  # an operator gives dead letters back while all this goes on


def draw(seed: int) -> Scenario:
    """Return the scenario of a seed."""
    rng = random.Random(f"scenario {seed}")
    broker = random.Random(f"broker {seed}").random() < 0.4
    return Scenario(
        seed=seed,
        broker=broker,
        shared=rng.random() < 0.6 and not broker,
        partitions=rng.randint(1, 3),
        keys=rng.choice((1, 1, 2, 3, 6)),
        events=rng.randint(10, 40),
        trickle=rng.random() < 0.4,
        processes=rng.randint(1, 3),
        faults=FaultPlan.draw(rng),
        retry=RetryPolicy(
            tries=rng.randint(2, 4),
            base_s=rng.choice((0.0, 0.5, 2.0)),
            cap_s=10.0,
            jitter_s=rng.choice((0.0, 1.0)),
        ),
        settings=Settings(
            max_records=rng.choice((1, 2, 5, 1000)),
            poll_s=rng.choice((0.3, 1.0)),
            max_in_flight=rng.choice((1, 3, 100)),
            drain_s=rng.choice((0.0, 5.0)),
        ),
        failing=rng.choice((0.0, 0.2, 0.5)),
        fatal=rng.choice((0.0, 0.05, 0.2)),
        undecodable=rng.choice((0.0, 0.0, 0.1)),
        lanes=rng.random() < 0.5,
        threads=rng.random() < 0.5,
        broken=rng.choice((0, 0, 1, 3)),
        lease_ttl_s=rng.uniform(0.0, 10.0),
        restless=rng.random() < 0.4,
        redrives=rng.random() < 0.5,
    )


def chance(*parts: object) -> float:
    """A number in [0, 1) that follows from `parts` alone, whatever happened before."""
    digest = blake2b("/".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
