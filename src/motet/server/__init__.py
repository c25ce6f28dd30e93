"""The HTTP side: publish events, see what becomes of them, ask whether all is well."""

from motet.server.api import Services, api
from motet.server.health import Check
from motet.server.limits import Limits
from motet.server.serving import serving

__all__ = ["Check", "Limits", "Services", "api", "serving"]
