"""Reads gateways with programs that their users have, unmodified: directly, and through the proxy of `enphased`.

    check.py PROGRAM      the built enphased
"""

import asyncio
import dataclasses
import enum
import logging
import os
import pathlib
import re
import sys
import time
import traceback

import enphase_api.local.gateway
import pyenphase
import requests
from envoy_reader.envoy_reader import EnvoyReader

import gateway
import house

# How many gateways are read at the same time.
AT_ONCE = 4
# A program that retries for ever must not do so here, in seconds.
LONGEST = 600
HERE = pathlib.Path(__file__).parent
# The gateways that have the pages of the programs that are not installed.
FOR_CURL = ("8.3.5289_battery", "8.3.5433_tot_is_net_cons")
# The paths that may reach a gateway.
DOCUMENTED = set(re.findall(r"`(/[^` ]+)`", (HERE.parents[1] / "docs/proxy.md").read_text()))
# aiohttp mentions a connection that pyenphase leaves when it turns from https to http.
logging.getLogger("asyncio").setLevel(logging.CRITICAL)
# requests would use such a certificate in place of `verify = False`.
for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
    os.environ.pop(name, None)


def plain(value):
    """Returns what a program has parsed, as lists, dictionaries and plain values."""
    if dataclasses.is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, dict):
        return {str(plain(key)): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [plain(item) for item in value]
    return value


def differences(direct, proxied, path=""):
    """Lists the places at which two parsed values differ."""
    if isinstance(direct, dict) and isinstance(proxied, dict):
        for key in sorted(direct.keys() | proxied.keys()):
            yield from differences(direct.get(key, "nothing"), proxied.get(key, "nothing"), f"{path}.{key}")
    elif isinstance(direct, list) and isinstance(proxied, list) and len(direct) == len(proxied):
        for index, (one, other) in enumerate(zip(direct, proxied)):
            yield from differences(one, other, f"{path}[{index}]")
    elif direct != proxied:
        yield f"{path}: {direct!r} directly, {proxied!r} through the proxy"


def count(value):
    """Returns the number of single values."""
    if isinstance(value, dict):
        return sum(map(count, value.values()))
    return sum(map(count, value)) if isinstance(value, list) else 1


async def with_pyenphase(address, token, after_update=None):
    """Does what Home Assistant's integration does, and returns everything that pyenphase has parsed."""
    envoy = pyenphase.Envoy(address)
    try:
        await envoy.setup()
        await envoy.authenticate(**({"token": token} if token else {"username": "envoy", "password": ""}))
        first = plain(await envoy.update())
        if after_update:
            await after_update()
        second = plain(await envoy.update())
        home = plain(await envoy.interface_settings())
        return {
            "first": first,
            "second": second,
            "home": home,
            "features": [feature.name for feature in envoy.supported_features],
            "model": envoy.envoy_model,
            "serial": envoy.serial_number,
            "firmware": str(envoy.firmware),
            "part": envoy.part_number,
            "updaters": [type(updater).__name__ for updater in envoy._updaters],
        }
    except pyenphase.exceptions.EnvoyError as error:
        # It cannot read some of the old gateways; then it must fail in the same way.
        return {"error": f"{type(error).__name__}: {str(error).replace(address, 'HOST')}"}
    finally:
        await envoy.close()


async def with_envoy_reader(address):
    """Does what Home Assistant's integration of 2021 did, at a gateway of that time."""
    reader = EnvoyReader(address, inverters=True)
    try:
        await reader.getData()
        values = [reader.production, reader.daily_production, reader.lifetime_production]
        values += [reader.consumption, reader.lifetime_consumption, reader.inverters_production]
        return {"values": plain([await value() for value in values])}
    except Exception as error:  # Whatever it raises, it must raise the same.
        return {"error": f"{type(error).__name__}: {str(error).replace(address, 'HOST')}"}


def with_enphase_api(url, token):
    """Logs in by POST, and reads some pages by the cookie alone."""
    client = enphase_api.local.gateway.Gateway(url, cert_file="none")
    parsed = {"login": client.login(token)}
    for path in ("/info.xml", "/ivp/meters/readings", "/api/v1/production/inverters", "/ivp/livedata/status"):
        try:
            raw = path == "/info.xml"
            parsed[path] = plain(client.api_call(path, response_raw=raw))
        except requests.JSONDecodeError:
            parsed[path] = "no JSON"
    client.session.close()
    return parsed


class Check:
    """The check of one gateway: what failed, and what was compared."""

    def __init__(self, program, kind, folder):
        self.program, self.kind, self.folder = program, kind, folder
        self.failures, self.notes, self.compared = [], [], 0

    def expect(self, holds, words):
        if not holds:
            self.failures.append(words)

    def compare(self, what, direct, proxied):
        self.compared += count(direct)
        self.failures += [f"{what}: {words}" for words in list(differences(direct, proxied))[:10]]

    async def run(self):
        # Another instance is read directly, so that the one behind the proxy sees the daemon only.
        other = self.kind(self.folder)
        await other.start()
        try:
            behind = self.kind(self.folder)
            open_to = [] if behind.needs_token else ["127.0.0.1"]
            async with house.House(self.program, behind, open_to=open_to).running() as home:
                if behind.needs_token:
                    await self.of_firmware_7(other, home)
                else:
                    await self.before_firmware_7(other, home)
                self.look_at_gateway(home)
        finally:
            await other.stop()

    async def of_firmware_7(self, other, home):
        token = home.token
        direct = await with_pyenphase(f"127.0.0.1:{other.port}", other.token)
        proxied = await with_pyenphase(home.tls, token, after_update=home.restart)
        self.compare("pyenphase", direct, proxied)
        self.expect("first" in direct, f"pyenphase does not read this gateway: {direct}")
        if self.kind is gateway.Invented:  # replay.py knows no POST.
            await self.with_enphase_api(other, home)
        if self.folder.name in FOR_CURL:
            await self.with_curl(other, home)
        given = [token, home.gateway.token]
        self.expect(all(secret not in home.log() for secret in given), "there is a token in the log")
        seen = home.gateway.seen.requests
        self.expect(all(token not in head for request in seen for head in request), "the token reached the gateway")

    async def with_enphase_api(self, other, home):
        direct = await asyncio.to_thread(with_enphase_api, f"https://127.0.0.1:{other.port}", other.token)
        self.expect(direct["login"], "enphase-api cannot log in")
        for url in (f"https://{home.tls}", f"http://{home.plain}"):
            self.compare("enphase-api", direct, await asyncio.to_thread(with_enphase_api, url, home.token))

    async def with_curl(self, other, home):
        arguments = [home.plain, home.tls, home.token, home.gateway.serial, f"127.0.0.1:{other.port}", other.token]
        process = await asyncio.create_subprocess_exec(
            HERE / "sequences", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        out, _ = await process.communicate()
        self.notes += out.decode().splitlines()
        self.expect(process.returncode == 0, "a sequence of requests has failed, see above")

    async def before_firmware_7(self, other, home):
        direct = await with_pyenphase(f"127.0.0.1:{other.port}", None)
        self.compare("pyenphase", direct, await with_pyenphase(home.plain, None, after_update=home.restart))
        direct = await with_envoy_reader(f"127.0.0.1:{other.port}")
        self.compare("envoy-reader", direct, await with_envoy_reader(home.plain))

    def look_at_gateway(self, home):
        """Checks that the gateway was asked by one careful client."""
        seen = home.gateway.seen
        methods = {method for method, _, _, _ in seen.requests}
        self.expect(methods <= {"GET"}, f"the gateway got {methods}")
        # The command that imports the token checks it, and each of the two daemons.
        logins = seen.targets().count("/auth/check_jwt")
        self.expect(logins <= 3, f"the gateway saw {logins} checks of a token")
        unknown = set(seen.targets()) - DOCUMENTED
        self.expect(not unknown, f"the gateway was asked for {unknown}")
        # The pages of a recording are often hours apart.
        complaints = [line for line in home.complaints() if 'kind="clocks_disagree"' not in line]
        self.expect(not complaints, f"the log has {complaints}")



async def main():
    program = sys.argv[1]
    found = gateway.all_gateways(os.environ.get("ENPHASED_RECORDINGS"))
    permits = asyncio.Semaphore(AT_ONCE)
    failed = 0

    async def one(kind, folder):
        async with permits:
            start, check = time.monotonic(), Check(program, kind, folder)
            try:
                async with asyncio.timeout(LONGEST):
                    await check.run()
            except Exception as error:
                check.failures.append("".join(traceback.format_exception(error)))
            words = f"{check.compared} values" if not check.failures else "FAILED"
            print(f"{kind.__name__.lower():9} {folder.name:40} {words:14} {time.monotonic() - start:5.1f} s", flush=True)
            for line in check.notes + check.failures:
                print(f"    {line}", flush=True)
            return not check.failures

    results = await asyncio.gather(*(one(kind, folder) for kind, folder in found))
    failed = results.count(False)
    print(f"{len(results) - failed} passed, {failed} failed")
    sys.exit(failed > 0)


asyncio.run(main())
