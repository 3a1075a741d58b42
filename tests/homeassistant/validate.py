"""Validates discovery messages, one JSON object {"topic", "payload"} a line, with the schemas of the installed Home
Assistant. See tests/homeassistant/run."""

import asyncio
import inspect
import json
import sys

# First, because the others import each other in a circle.
import homeassistant.components.binary_sensor  # noqa: F401
import homeassistant.components.mqtt.binary_sensor as binary_sensor
import homeassistant.components.mqtt.sensor as sensor
from homeassistant.components.mqtt import discovery
from homeassistant.const import __version__
from homeassistant.core import HomeAssistant
from homeassistant.helpers import frame

SCHEMAS = {"sensor": sensor.DISCOVERY_SCHEMA, "binary_sensor": binary_sensor.DISCOVERY_SCHEMA}


def validate(message):
    """Raises an error if Home Assistant would refuse the message."""
    component, _, _ = discovery.TOPIC_MATCHER.match(message["topic"].split("/", 1)[1]).groups()
    payload = json.loads(message["payload"])
    discovery.MQTT_ORIGIN_INFO_SCHEMA(payload["origin"])
    SCHEMAS[component]({**payload, "platform": "mqtt"})


async def main(path):
    # Newer versions create templates only for an instance. Since 2024.3 it takes a directory, which it does not use here.
    wants_directory = "config_dir" in inspect.signature(HomeAssistant.__new__).parameters
    home_assistant = HomeAssistant(*["/nonexistent"] * wants_directory)
    if hasattr(frame, "async_setup"):
        frame.async_setup(home_assistant)
    count, wrong = 0, []
    for line in open(path, encoding="utf-8"):
        message = json.loads(line)
        count += 1
        try:
            validate(message)
        except Exception as error:  # Whatever it is, Home Assistant would refuse the message.
            wrong.append(f"{message['topic']}: {error!r}")
    print(f"Home Assistant {__version__} accepts {count - len(wrong)} of {count} discovery messages")
    print(*wrong[:20], sep="\n", end="\n" if wrong else "")
    return 1 if wrong or not count else 0


sys.exit(asyncio.run(main(sys.argv[1])))
