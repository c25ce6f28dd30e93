"""The part of RabbitMQ's HTTP API that AMQP has no word for: policies."""

import asyncio
import base64
import json
import re
import urllib.error
import urllib.request
from urllib.parse import quote, unquote, urlsplit

from motet.core.errors import ConfigError, Unavailable
from motet.transports.rabbitmq.options import Options


class Management:
    """Sets policies, where the URL of the API is known; false where it is not."""

    def __init__(self, options: Options) -> None:
        parts = urlsplit(options.management)
        self._place = f"{parts.hostname}:{parts.port or 15672}"
        self._base = f"{parts.scheme}://{self._place}"
        self._vhost = options.address.vhost
        self._timeout_s = options.address.timeout_s
        user = unquote(parts.username or options.address.user)
        password = unquote(parts.password or options.address.password)
        self._login = base64.b64encode(f"{user}:{password}".encode()).decode()
        self._known = bool(options.management)
        if self._known and (parts.scheme not in ("http", "https") or not parts.hostname):
            raise ConfigError("management is http://USER:PASSWORD@HOST:15672, or https")

    def __bool__(self) -> bool:
        return self._known

    async def retain(self, exchange: str, age_s: int | None) -> None:
        """Let the streams of a topic keep what is younger than `age_s`; None: everything.

        Raises:
            ConfigError: the API refuses the user.
            Unavailable: it does not answer.
        """
        name = f"motet retention of {exchange}"
        path = f"/api/policies/{quote(self._vhost, safe='')}/{quote(name, safe='')}"
        policy = {
            "pattern": f"^{re.escape(exchange)}\\.[0-9]+$",
            "definition": {"max-age": f"{age_s}s"},
            "apply-to": "queues",
            "priority": 1,
        }
        method, body = ("DELETE", b"") if age_s is None else ("PUT", json.dumps(policy).encode())
        await asyncio.to_thread(self._send, method, path, body)

    def _send(self, method: str, path: str, body: bytes) -> None:
        request = urllib.request.Request(
            self._base + path,
            data=body or None,
            method=method,
            headers={"Authorization": f"Basic {self._login}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=self._timeout_s):
                pass
        except urllib.error.HTTPError as err:
            err.close()
            if err.code in (401, 403):
                raise ConfigError(
                    f"the management API at {self._place} refuses {err.code}: the user needs the "
                    "tag 'policymaker'"
                ) from err
            if err.code != 404 or method != "DELETE":
                raise Unavailable(f"the management API at {self._place}: {err}") from err
        except OSError as err:
            raise Unavailable(f"no management API answers at {self._place}: {err}") from err
