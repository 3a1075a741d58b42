"""Prints what MQTT discovery of the installed Home Assistant accepts, as JSON. See tests/homeassistant/run."""

import json
import sys

import voluptuous as vol
from homeassistant.components.binary_sensor import BinarySensorDeviceClass
from homeassistant.components.mqtt import abbreviations, binary_sensor, discovery, mixins, sensor
from homeassistant.components.sensor import SensorDeviceClass
from homeassistant.components.sensor.const import DEVICE_CLASS_STATE_CLASSES, DEVICE_CLASS_UNITS
from homeassistant.const import EntityCategory, __version__


def keys(schema):
    """The keys of a schema, of which some are wrapped in other validators."""
    if isinstance(schema, vol.All):
        found = [keys(part) for part in schema.validators]
        return sorted({key for part in found for key in part})
    schema = getattr(schema, "schema", schema)
    return sorted(str(key) for key in schema) if isinstance(schema, dict) else []


def words(values):
    return sorted("" if value is None else str(value) for value in values)


abbreviated = [*abbreviations.ABBREVIATIONS.items(), *abbreviations.DEVICE_ABBREVIATIONS.items()]
availability = mixins.MQTT_AVAILABILITY_LIST_SCHEMA.schema["availability"].validators[1][0]
sensors = {
    name.value: {
        "units": words(DEVICE_CLASS_UNITS.get(name, {None})),
        "state_classes": words(DEVICE_CLASS_STATE_CLASSES.get(name, set())),
    }
    for name in SensorDeviceClass
}
facts = {
    "version": __version__,
    "components": {
        "sensor": keys(sensor.PLATFORM_SCHEMA_MODERN),
        "binary_sensor": keys(binary_sensor.PLATFORM_SCHEMA_MODERN),
    },
    "device": keys(mixins.MQTT_ENTITY_DEVICE_INFO_SCHEMA),
    "origin": keys(discovery.MQTT_ORIGIN_INFO_SCHEMA),
    "availability": keys(availability),
    "availability_modes": mixins.AVAILABILITY_MODES,
    "abbreviations": words(short for short, long in abbreviated if short != long),
    "entity_categories": [category.value for category in EntityCategory],
    "sensors": sensors,
    "binary_sensors": [name.value for name in BinarySensorDeviceClass],
}
json.dump(facts, sys.stdout, indent=1, sort_keys=True, ensure_ascii=False)
print()
