"""A connection that comes back by itself, and the one place where a driver's errors end."""

import asyncio
import ssl
from typing import NoReturn, TypeVar

import hiredis

from motet.core.errors import ConfigError, MotetError, Unavailable
from motet.core.ports import Clock
from motet.transports.redis.options import Options
from motet.transports.redis.scripts import ALL, Script
from motet.transports.redis.wire import Wire

T = TypeVar("T")

_OLDEST = (7, 0)
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 1.0
_BYTES_PER_S = 4 << 20  # what a slow network carries: a longer request is given more time

_FOR_NOW = frozenset(
    {
        *("BUSY", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "MISCONF", "NOREPLICAS", "OOM"),
        *("READONLY", "TRYAGAIN", "UNBLOCKED"),
    }
)
"""First words of errors that pass. The others mean that program or server are set up wrong."""

Argument = bytes | int | str

Call = tuple[list[bytes], list[bytes]]
"""Keys and arguments of a script."""


def pack(request: tuple[Argument, ...]) -> bytes:
    """Return a request as it is sent."""
    packed: bytes = hiredis.pack_command(request)  # type: ignore[arg-type]  # stub: of length 1
    return packed


class Connection:
    """Requests to one server over one socket, which is opened by the first that needs it."""

    def __init__(self, options: Options, clock: Clock, *, name: str) -> None:
        self.id = 0  # as the server numbers its clients
        self._options = options
        self._clock = clock
        self._name = name
        self._wire: Wire | None = None
        self._opening = asyncio.Lock()
        self._pause_s = 0.0
        self._not_before_s = 0.0

    async def call(
        self,
        packed: bytes,
        kind: type[T],
        *,
        timeout_s: float = 0.0,
        sent: asyncio.Event | None = None,
    ) -> T:
        """Send one packed request and return its reply, which has to be of a kind.

        `timeout_s` is added to what the URL allows: the time a blocking command may block.

        Raises:
            Unavailable: there was no reply in time, or the server cannot serve for now.
            ConfigError: the server will never do this.
        """
        wire = await self.ready()
        future = await wire.send(packed)
        reply = await self._reply(wire, future, len(packed), timeout_s)
        if isinstance(reply, hiredis.ReplyError):
            self._refused(reply)
        return self._checked(reply, kind)

    async def call_many(self, packed: list[bytes]) -> list[object]:
        """Send requests in one piece and return their replies; error replies are among them.

        Raises:
            Unavailable: there was no reply in time.
        """
        if not packed:
            return []
        wire = await self.ready()
        joined = b"".join(packed)
        future = await wire.send_many(joined, len(packed))
        return self._checked(await self._reply(wire, future, len(joined), 0.0), list)

    async def call_all(self, packed: list[bytes]) -> None:
        """Send requests in one piece; the first that is refused is raised.

        Raises:
            Unavailable: there was no reply in time, or the server cannot serve for now.
            ConfigError: the server will never do this.
        """
        for reply in await self.call_many(packed):
            if isinstance(reply, hiredis.ReplyError):
                self._refused(reply)

    async def run(self, script: Script, keys: list[bytes], args: list[bytes], kind: type[T]) -> T:
        """Run a script, which the server has from when the connection was made.

        Raises:
            Unavailable: there was no reply in time, or the server cannot serve for now.
            ConfigError: the server will never do this.
        """
        packed = pack((b"EVALSHA", script.sha, len(keys), *keys, *args))
        wire = await self.ready()
        reply = await self._reply(wire, await wire.send(packed), len(packed), 0.0)
        if isinstance(reply, hiredis.ReplyError) and _no_script(reply):
            # SCRIPT FLUSH, or another server took over: nothing ran yet.
            await self.call(pack((b"SCRIPT", b"LOAD", script.text)), bytes)
            return await self.call(packed, kind)
        if isinstance(reply, hiredis.ReplyError):
            self._refused(reply)
        return self._checked(reply, kind)

    async def run_many(
        self, script: Script, calls: list[tuple[list[bytes], list[bytes]]]
    ) -> list[object]:
        """Run a script for each pair of keys and arguments, in one round trip.

        Raises:
            Unavailable: there was no reply in time.
        """
        packed = [pack((b"EVALSHA", script.sha, len(k), *k, *args)) for k, args in calls]
        replies = await self.call_many(packed)
        if any(isinstance(r, hiredis.ReplyError) and _no_script(r) for r in replies):
            await self.call(pack((b"SCRIPT", b"LOAD", script.text)), bytes)
            replies = await self.call_many(packed)
        return replies

    async def ping(self) -> None:
        """Make sure that the server answers.

        Raises:
            Unavailable: it does not.
            ConfigError: it is of no use: too old, a cluster, or it does not let us in.
        """
        await self.call(pack((b"PING",)), bytes)

    def close(self) -> None:
        """Let the socket go; the next request opens another."""
        if self._wire is not None:
            self._wire.abort(ConnectionError("closed"))
            self._wire = None

    async def _reply(
        self, wire: Wire, future: asyncio.Future[object], size: int, timeout_s: float
    ) -> object:
        try:
            async with asyncio.timeout(self._options.timeout_s + timeout_s + size / _BYTES_PER_S):
                return await future
        except TimeoutError:
            why = f"no reply within {self._options.timeout_s + timeout_s:g} s"
            wire.abort(TimeoutError(why))
            self._unavailable(TimeoutError(why))
        except (OSError, hiredis.HiredisError) as err:
            self._unavailable(err)

    def _checked(self, reply: object, kind: type[T]) -> T:
        if not isinstance(reply, kind):
            raise Unavailable(
                f"{self._where}: a reply of {kind.__name__} was expected, not {reply!r:.80}"
            )
        return reply

    def _refused(self, reply: Exception) -> NoReturn:
        text = str(reply)
        word = text.split(" ", 1)[0]
        if word == "READONLY" and self._wire is not None:
            self._wire.abort(ConnectionError(text))  # a replica now: look again who is primary
        if word in _FOR_NOW:
            raise Unavailable(f"{self._where}: {text}") from reply
        raise ConfigError(f"{self._where}: {text}") from reply

    def _unavailable(self, err: BaseException) -> NoReturn:
        why = str(err) or type(err).__name__
        raise Unavailable(
            f"{self._where} does not answer: {why}; is the server running, and reachable from here?"
        ) from err

    @property
    def _where(self) -> str:
        return f"redis at {self._options.address}"

    async def ready(self) -> Wire:
        """Return the socket, opened if there is none.

        Raises:
            Unavailable: there is no connection to be had.
            ConfigError: the server is of no use, or does not let us in.
        """
        if self._wire is not None and self._wire.open:
            return self._wire
        async with self._opening:
            if self._wire is not None and self._wire.open:
                return self._wire
            left_s = self._not_before_s - self._clock.monotonic_s()
            if left_s > 0:
                await self._clock.sleep(left_s)
            try:
                self._wire = await self._opened()
            except MotetError:
                self._pause_s = min(_LONGEST_PAUSE_S, max(_FIRST_PAUSE_S, 2 * self._pause_s))
                jitter = 0.5 + self._clock.random() / 2
                self._not_before_s = self._clock.monotonic_s() + jitter * self._pause_s
                raise
            self._pause_s = 0.0
            return self._wire

    async def _opened(self) -> Wire:
        wire = Wire()
        try:
            async with asyncio.timeout(self._options.timeout_s):
                await connect(wire, self._options)
                self._greeted(await greet(wire, self._options, name=self._name))
        except TimeoutError:
            wire.abort(TimeoutError())
            self._unavailable(TimeoutError(f"no connection in {self._options.timeout_s:g} s"))
        except (OSError, hiredis.HiredisError) as err:
            wire.abort(err)
            self._unavailable(err)
        except BaseException:
            wire.abort(ConnectionError("not wanted"))
            raise
        return wire

    def _greeted(self, replies: list[object]) -> None:
        for reply in replies:
            if isinstance(reply, hiredis.ReplyError):
                self._refused(reply)
        client, info = replies[-2:]
        if not isinstance(client, int) or not isinstance(info, bytes):
            raise ConfigError(f"{self._where}: it does not greet as a Redis server does")
        self.id = client
        lines = dict(line.split(":", 1) for line in info.decode().splitlines() if ":" in line)
        version = lines.get("redis_version", "0")
        if tuple(int(part) for part in version.split(".")[:2]) < _OLDEST:
            raise ConfigError(
                f"{self._where} is Redis {version}, which cannot number events: Redis 7.0 or "
                "later, or Valkey, is needed"
            )
        if lines.get("redis_mode") == "cluster":
            raise ConfigError(f"{self._where} is part of a cluster, which is not supported yet")


async def connect(wire: Wire, options: Options) -> None:
    """Open the socket.

    Raises:
        OSError: nobody listens there, or TLS does not come about.
        ConfigError: a file of the TLS settings is of no use.
    """
    await asyncio.get_running_loop().create_connection(
        lambda: wire,
        options.host,
        options.port,
        ssl=_tls(options) if options.tls else None,
        server_hostname=options.host if options.tls else None,
    )


async def greet(wire: Wire, options: Options, *, name: str) -> list[object]:
    """Say who we are; return the replies, those of CLIENT ID and INFO last."""
    requests: list[tuple[Argument, ...]] = []
    if options.password:
        who = (options.user,) if options.user else ()
        requests.append(("AUTH", *who, options.password))
    if options.db:
        requests.append(("SELECT", options.db))
    requests.append(("CLIENT", "SETNAME", name))
    requests += [("SCRIPT", "LOAD", script.text) for script in ALL]
    requests += [("CLIENT", "ID"), ("INFO", "server")]
    packed = b"".join(pack(request) for request in requests)
    replies = await (await wire.send_many(packed, len(requests)))
    assert isinstance(replies, list)
    return replies


def _no_script(reply: Exception) -> bool:
    return str(reply).startswith("NOSCRIPT")


def _tls(options: Options) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=options.ca_file or None)
        if options.cert_file:
            context.load_cert_chain(options.cert_file, options.key_file or None)
    except (OSError, ssl.SSLError) as err:
        raise ConfigError(
            f"rediss://{options.address}: tls_ca, tls_cert or tls_key cannot be used: {err}"
        ) from err
    if not options.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
