"""What an app declares: functions, routes, scatter-gathers and schedules."""

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Executor
from typing import TypeVar, Unpack

import msgspec

from motet.core.errors import ConfigError
from motet.core.extras import encode_payload
from motet.core.ports import Processor
from motet.core.schemas import Schemas, Upcaster
from motet.handlers.gather import ScatterGather
from motet.handlers.handler import DeliveryMode, Handler, OnFailure, Options, declare
from motet.handlers.processor import FunctionProcessor
from motet.handlers.routes import Router, router
from motet.handlers.schedules import Schedule
from motet.resilience import RetryPolicy

F = TypeVar("F", bound=Callable[..., object])


class Compiled(msgspec.Struct, frozen=True):
    """One consumer group, ready to run."""

    processor: Processor
    retry: RetryPolicy
    handlers: tuple[Handler, ...]  # what it was compiled from, for those who list them
    delivery: DeliveryMode = "store"
    on_failure: OnFailure = "park"


class Handlers:
    """Declarations of one app. Declaring connects to nothing, and finds mistakes at once."""

    def __init__(self, name: str, schemas: Schemas | None = None) -> None:
        if not name:
            raise ConfigError("an app needs a name: it is its consumer group")
        self.name = name
        self.schemas = Schemas() if schemas is None else schemas
        self._handlers: list[Handler] = []
        self._gathers: dict[str, ScatterGather] = {}
        self._schedules: dict[str, Schedule] = {}

    @property
    def handlers(self) -> Sequence[Handler]:
        """All handlers, in order of declaration."""
        return tuple(self._handlers)

    @property
    def schedules(self) -> Sequence[Schedule]:
        """All schedules, in order of declaration."""
        return tuple(self._schedules.values())

    def on(
        self,
        topic: str,
        type: str | None = None,
        *,
        name: str = "",
        to: str = "",
        where: Callable[..., object] | None = None,
        **options: Unpack[Options],
    ) -> Callable[[F], F]:
        """Declare a function as a handler of events of a type, a glob, or (None) its payload's.

        The function stays as it is. `to` is the topic of payloads and events it returns, `where`
        a predicate on the payload, or on what is annotated Event. The name, the function's own
        unless given, is part of derived ids. Handlers of one group that match one event run in
        order of declaration; their effects are committed together, and one that fails fails the
        event.

        Raises:
            ConfigError: an annotation or an option is wrong; the message names the function.
        """

        def register(function: F) -> F:
            handler = declare(
                function,
                topic,
                type,
                group=self.name,
                options=options,
                name=name,
                to=to,
                where=where,
            )
            self.add(handler)
            return function

        return register

    def route(
        self,
        topic: str,
        to: Mapping[str, str] | Router,
        *,
        type: str | None = None,
        default: str | None = None,
        group: str | None = None,
        name: str = "",
        delivery: DeliveryMode | None = None,
    ) -> None:
        """Pass events of a topic on to others by their content, unchanged and under the same id.

        `to` maps event types or globs to topics, or is a function of the Event that returns a
        topic, several or None. What has no target goes to `default`, or nowhere.

        Raises:
            ConfigError: it leads nowhere, or back.
        """
        name = name or f"route.{topic}"
        route = router(name, topic, to, default)
        options: Options = {"group": group, "delivery": delivery}
        self.add(declare(route, topic, type, group=self.name, options=options, name=name))

    def scatter_gather(
        self,
        name: str,
        topic: str,
        type: str | None = None,
        *,
        to: str,
        result_type: str = "",
        timeout_s: float = 30.0,
        retention_s: float = 3600.0,
        elsewhere: Collection[str] = (),
    ) -> ScatterGather:
        """Send events of a topic to several branches, and what they answer to `to` as one event.

        The aggregate (`Gathered`, of type `result_type`, else `NAME.gathered`) comes when all
        have answered, or after `timeout_s` with what is there. What is known of a request is
        kept for `retention_s` after that, to tell late answers. `elsewhere` names branches
        that other programs answer.

        Raises:
            ConfigError: the name is taken, or a duration is not above 0.
        """
        if name in self._gathers:
            raise ConfigError(f"there are two scatter-gathers named {name!r}")
        gather = self._gathers[name] = ScatterGather(
            name,
            app=self.name,
            to=to,
            type=result_type or f"{name}.gathered",
            timeout_s=timeout_s,
            retention_s=retention_s,
            elsewhere=elsewhere,
            add=self.add,
        )
        gather.listen(topic, type)
        return gather

    def every(
        self,
        when: float | str,
        topic: str,
        type: str,
        data: object = None,
        *,
        key: str = "",
        name: str = "",
    ) -> Schedule:
        """Declare an event every `when` seconds, or at the times of a cron line (UTC).

        Raises:
            ConfigError: the name is taken, or there is no such time.
        """
        schedule = Schedule(
            name=name or type,
            app=self.name,
            topic=topic,
            type=type,
            interval_s=None if isinstance(when, str) else when,
            cron=when if isinstance(when, str) else "",
            key=key,
            data=encode_payload(data),
        )
        if self._schedules.setdefault(schedule.name, schedule) is not schedule:
            raise ConfigError(
                f"there are two schedules named {schedule.name!r}; give one another name="
            )
        return schedule

    def upcast(self, type: str, from_version: int) -> Callable[[Upcaster], Upcaster]:
        """Declare a function that lifts a payload of a type by one version; a decorator."""

        def register(lift: Upcaster) -> Upcaster:
            self.schemas.upcast(type, from_version, lift)
            return lift

        return register

    def add(self, handler: Handler) -> None:
        """Add a handler that was declared elsewhere.

        Raises:
            ConfigError: its group has one of that name, or another retry policy or answer to
                failure.
        """
        for other in self._handlers:
            if other.group == handler.group:
                _check_together(other, handler)
        self._handlers.append(handler)

    def compile(self, *, executor: Executor | None = None) -> list[Compiled]:
        """Return one processor per consumer group, in order of declaration.

        `executor` runs blocking handlers; the loop's own when None.

        Raises:
            ConfigError: a scatter-gather has no branches, or upcasters are missing.
        """
        for gather in self._gathers.values():
            gather.check()
        groups: dict[str, list[Handler]] = {}
        for handler in self._handlers:
            groups.setdefault(handler.group, []).append(handler)
        return [self._compiled(handlers, executor) for handlers in groups.values()]

    def _compiled(self, handlers: Sequence[Handler], executor: Executor | None) -> Compiled:
        processor = FunctionProcessor(
            handlers, app=self.name, schemas=self.schemas, executor=executor
        )
        retries = [handler.retry for handler in handlers if handler.retry is not None]
        return Compiled(
            processor,
            retries[0] if retries else RetryPolicy(),
            tuple(handlers),
            _delivery(handlers),
            next((each.on_failure for each in handlers if each.on_failure), "park"),
        )


def _check_together(one: Handler, other: Handler) -> None:
    names = f"handlers {one.name!r} and {other.name!r} of group {one.group!r}"
    if one.name == other.name:
        raise ConfigError(f"{names} have the same name; give one another name=, or group=")
    if None not in (one.retry, other.retry) and one.retry != other.retry:
        raise ConfigError(f"{names} have different retry=: a group has one policy")
    if None not in (one.on_failure, other.on_failure) and one.on_failure != other.on_failure:
        raise ConfigError(f"{names} have different on_failure=: a group has one answer")
    if None not in (one.delivery, other.delivery) and one.delivery != other.delivery:
        raise ConfigError(f"{names} have different delivery=: a group has one mode")


def _delivery(handlers: Sequence[Handler]) -> DeliveryMode:
    modes = [handler.delivery for handler in handlers if handler.delivery is not None]
    mode = modes[0] if modes else "store"
    stateful = [handler.name for handler in handlers if handler.stateful]
    if mode == "transport" and stateful:
        raise ConfigError(
            f"handler {stateful[0]!r} keeps state, which delivery='transport' cannot commit with "
            "its progress: leave delivery= out, or put the handler into another group="
        )
    return mode
