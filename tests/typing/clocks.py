"""Each clock conforms to the port."""

from motet.core.clock import SystemClock
from motet.core.ports import Clock

system: Clock = SystemClock()
