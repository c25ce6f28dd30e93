"""MQTT as a source of events; no transport, for it keeps no log."""

from motet.transports.mqtt.source import MqttSource, open_source

__all__ = ["MqttSource", "open_source"]
