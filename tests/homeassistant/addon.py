"""Checks the add-on as the Supervisor of Home Assistant does before it offers, configures and starts one. See tests/homeassistant/run.

The Supervisor is in no package index. Its schemas are written down here from https://developers.home-assistant.io/docs/add-ons
and its validate.py and options.py, as far as this add-on uses them: a key that is not here is refused."""

import json
import re
import struct
import sys
from pathlib import Path

import voluptuous as vol
import yaml

ROOT = Path(__file__).parents[2]
ADDON = ROOT / "systemd/addon/enphased"
ELEMENT = re.compile(
    r"^(?:bool|email|url|port|device(?:\(subsystem=[a-z]+\))?|(?:str|password|int)(?:\((?P<least>\d+)?,(?P<most>\d+)?\))?"
    r"|float(?:\([\d.]*,[\d.]*\))?|match\(.*\)|list\(.+\))\??$"
)
PORTS = vol.Match(r"^\d+(?:/tcp|/udp)?$")
element = vol.Match(ELEMENT)
listed = vol.Any(element, {str: vol.Any(element, [element])})

CONFIG = vol.Schema({
    vol.Required("name"): str,
    vol.Required("version"): str,
    vol.Required("slug"): vol.Match(r"^[-_.A-Za-z0-9]+$"),
    vol.Required("description"): str,
    vol.Required("arch"): [vol.In(["armhf", "armv7", "aarch64", "amd64", "i386"])],
    "url": vol.Url(),
    "startup": vol.In(["initialize", "system", "services", "application", "once"]),
    "boot": vol.In(["auto", "manual", "manual_only"]),
    "init": bool,
    "watchdog": vol.Match(r"^(?:https?|\[PROTO:\w+\]|tcp):\/\/\[HOST\]:(\[PORT:\d+\]|\d+).*$"),
    "backup": vol.In(["hot", "cold"]),
    "services": [vol.Match(r"^(?:mqtt|mysql):(?:provide|want|need)$")],
    "ingress": bool,
    "ingress_port": vol.All(int, vol.Range(0, 65535)),
    "panel_icon": vol.Match(r"^mdi:[a-z-]+$"),
    "panel_title": str,
    "ports": {PORTS: vol.Maybe(vol.All(int, vol.Range(1, 65535)))},
    "ports_description": {PORTS: str},
    "options": dict,
    "schema": {str: vol.Any(element, [listed], {str: vol.Any(element, [element])})},
})
REPOSITORY = vol.Schema({vol.Required("name"): str, "url": vol.Url(), "maintainer": str})
WORDS = {vol.Required("name"): str, "description": vol.Maybe(str)}
TRANSLATION = vol.Schema({
    "configuration": {str: {**WORDS, "fields": {str: WORDS}}},
    "network": {PORTS: str},
})


def single(kind, value, key):
    """Validates one value. The Supervisor converts numbers, and nothing else."""
    if value is None:
        raise vol.Invalid(f"Missing required option '{key}'")
    matched = ELEMENT.match(kind)
    limits = vol.Range(*(int(text) if text else None for text in matched.groups()))
    if kind.startswith(("str", "password")):
        return vol.All(str, vol.Length(*(int(text) if text else None for text in matched.groups())))(value)
    if kind.startswith("int"):
        return vol.All(vol.Coerce(int), limits)(value)
    if kind.startswith("bool"):
        return vol.Boolean()(value)
    raise vol.Invalid(f"{kind} is not known here")


def validated(schema, options, where="root"):
    """Returns the options that the Supervisor writes, or raises its error."""
    found = {}
    for key, value in options.items():
        kind = schema.get(key)
        if kind is None:
            raise vol.Invalid(f"Option '{key}' does not exist in the schema")
        if isinstance(kind, list):
            if not isinstance(value, list):
                raise vol.Invalid(f"Invalid list for option '{key}'")
            nested = isinstance(kind[0], dict)
            found[key] = [validated(kind[0], item, key) if nested else single(kind[0], item, key) for item in value]
        elif isinstance(kind, dict):
            found[key] = validated(kind, value, key)
        else:
            found[key] = single(kind, value, key)
    for key in set(schema) - set(found):
        kind = schema[key][0] if isinstance(schema[key], list) else schema[key]
        # What is nested is never optional.
        if not (isinstance(kind, str) and kind.endswith("?")):
            raise vol.Invalid(f"Missing option '{key}' in {where}")
    return found


def load(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def size(path):
    head = path.read_bytes()[:24]
    assert head.startswith(b"\x89PNG"), path
    return struct.unpack(">II", head[16:24])


def same(what, found, expected):
    assert found == expected, f"{what}: {found}, and not {expected}"


def main():
    REPOSITORY(load(ROOT / "systemd/addon/repository.yaml"))
    config = CONFIG(load(ADDON / "config.yaml"))
    schema, defaults = config["schema"], config["options"]
    same("the descriptions of ports", set(config["ports_description"]), set(config["ports"]))
    same("the icon", size(ADDON / "icon.png"), (128, 128))
    same("the logo", size(ADDON / "logo.png"), (250, 100))
    assert {"DOCS.md", "README.md", "Dockerfile"} <= {path.name for path in ADDON.iterdir()}

    languages = sorted((ADDON / "translations").iterdir())
    for path in languages:
        words = TRANSLATION(load(path))
        same(f"the options of {path.name}", list(words["configuration"]), list(schema))
        same(f"the ports of {path.name}", set(words["network"]), set(config["ports"]))
        for key, kind in schema.items():
            kind = kind[0] if isinstance(kind, list) else kind
            fields = words["configuration"][key].get("fields", {})
            same(f"the fields of {key} in {path.name}", list(fields), list(kind) if isinstance(kind, dict) else [])

    # Before an owner has changed anything, and with the options of houses. The program's tests read the same files.
    folder = ROOT / "fixtures/addon"
    same("the options as installed", validated(schema, defaults), json.loads((folder / "options_as_installed.json").read_text()))
    houses = sorted(folder.glob("options*.json"))
    for path in houses:
        validated(schema, {**defaults, **json.loads(path.read_text())})

    # The program reads the same options, and listens at the same ports.
    source = (ROOT / "src/app/config/options.rs").read_text(encoding="utf-8")
    for name, found in [("Options", schema), ("GatewayOptions", schema["gateways"][0]), ("MqttOptions", schema["mqtt"])]:
        body = re.search(rf"^struct {name} \{{\n(.*?)^\}}", source, re.M | re.S).group(1)
        same(f"the options that {name} reads", re.findall(r"^ +(\w+):", body, re.M), list(found))
    listeners = re.findall(r'"0\.0\.0\.0:(\d+)"', source.split("#[cfg(test)]")[0])
    published = [port.split("/")[0] for port in config["ports"]]
    same("the ports", set(listeners), {str(config["ingress_port"]), *published})
    print(f"the add-on is valid, with {len(languages)} translations and the options of {len(houses)} houses")


try:
    main()
except (AssertionError, vol.Invalid, yaml.YAMLError) as error:
    sys.exit(f"the add-on is invalid: {error}")
