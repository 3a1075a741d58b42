"""One gateway, and the built `enphased` with its proxy."""

import asyncio
import contextlib
import os
import pathlib
import signal
import socket
import tempfile

import aiohttp

# Ports handed out so far, so that no two daemons of this run get the same one.
_taken = set()


def free_port():
    """Returns a port that nothing listens at. The daemon needs the same one again after a restart."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        if port not in _taken:
            _taken.add(port)
            return port


class House:
    """A started gateway and its daemon, in a folder of its own."""

    def __init__(self, program, gateway, *, interval="30s", open_to=()):
        self.program, self.gateway, self.interval, self.open_to = program, gateway, interval, open_to
        self.plain, self.tls = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
        self.daemon = self.token = None

    @contextlib.asynccontextmanager
    async def running(self):
        with tempfile.TemporaryDirectory(prefix="enphased-clients-") as folder:
            self.folder = pathlib.Path(folder)
            await self.gateway.start()
            try:
                self.configure()
                await self.start()
                yield self
            finally:
                await self.stop()
                await self.gateway.stop()

    def configure(self):
        # An address of the cloud at which nothing listens: no test may depend on it.
        scheme = "https" if self.gateway.needs_token else "http"
        open_to = ", ".join(f'"{network}"' for network in self.open_to)
        (self.folder / "config.toml").write_text(f"""
state_dir = "{self.folder}/state"
[cloud]
enlighten_url = "http://127.0.0.1:1"
entrez_url = "http://127.0.0.1:1"
[[gateway]]
address = "{scheme}://127.0.0.1:{self.gateway.port}"
interval = "{self.interval}"
proxy = ["{self.plain}", "tls://{self.tls}"]
[server]
open_to = [{open_to}]
requests_per_minute = 100000
""")

    async def command(self, *arguments, stdin=None):
        """Runs a command of the program to its end; returns what it printed."""
        process = await asyncio.create_subprocess_exec(
            self.program, "--config", self.folder / "config.toml", *arguments, env={"PATH": os.environ["PATH"]},
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate(stdin and stdin.encode())
        if process.returncode:
            raise RuntimeError(f"enphased {' '.join(arguments)}: {process.returncode}, {err.decode()}")
        return out.decode().strip()

    async def start(self):
        """Starts the daemon, with the gateway's token in its state directory, and waits until the proxy answers."""
        if self.gateway.needs_token and self.daemon is None:
            await self.command("token", "import", stdin=self.gateway.token)
        with open(self.folder / "log", "ab") as log:
            self.daemon = await asyncio.create_subprocess_exec(
                self.program, "--config", self.folder / "config.toml", "run", env={"PATH": os.environ["PATH"]},
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
            )
        async with aiohttp.ClientSession() as client:
            while True:
                if self.daemon.returncode is not None:
                    raise RuntimeError(f"the daemon has ended: {self.log()}")
                with contextlib.suppress(aiohttp.ClientConnectionError):
                    async with client.get(f"http://{self.plain}/info") as response:
                        if response.status == 200:
                            break
                await asyncio.sleep(0.05)
        # Added while the daemon runs, and used at once.
        self.token = self.token or await self.command("consumer", "add", "homeassistant")

    async def stop(self):
        if self.daemon and self.daemon.returncode is None:
            self.daemon.send_signal(signal.SIGTERM)
            await self.daemon.wait()

    async def restart(self):
        await self.stop()
        await self.start()

    def log(self):
        return (self.folder / "log").read_text(errors="replace")

    def complaints(self):
        """Returns the warnings and errors in the log."""
        return [line for line in self.log().splitlines() if line.split()[1:2] in (["warn"], ["error"])]
