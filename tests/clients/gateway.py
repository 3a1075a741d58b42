"""Gateways of files: the invented ones of `fixtures/`, and recorded ones by the `replay.py` of the recordings' folder."""

import asyncio
import base64
import http.server
import json
import pathlib
import re
import secrets
import socketserver
import ssl
import sys
import threading
import time

FIXTURES = pathlib.Path(__file__).parents[2] / "fixtures"
VALID = b"<!DOCTYPE html><h2>Valid token.</h2>\n"
# The page with two names.
SAME = {"info.xml": "info"}


def encoded(value):
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def gateway_token(serial):
    """Returns what the cloud would give to the owner of this gateway; its signature is noise."""
    now = int(time.time())
    claims = {"aud": serial, "iss": "Entrez", "enphaseUser": "owner", "exp": now + 365 * 86400, "iat": now}
    claims |= {"jti": secrets.token_hex(8), "username": "owner@example.com"}
    head = {"kid": "none", "typ": "JWT", "alg": "ES256"}
    return ".".join([*(encoded(json.dumps(part).encode()) for part in (head, claims)), encoded(secrets.token_bytes(64))])


class Seen:
    """What one gateway was asked, without the head of the requests except for what they log in with."""

    def __init__(self):
        self.requests = []

    def add(self, method, target, authorization, cookie):
        self.requests.append((method, target, authorization, cookie))

    def targets(self):
        return [target for _, target, _, _ in self.requests]


class Invented:
    """An invented gateway: a folder of pages, over TLS with a token, or over http without any login before firmware 7."""

    def __init__(self, folder):
        self.folder = folder
        self.name = folder.name
        info = (folder / "info").read_text()
        self.serial = re.search(r"<sn>(\d+)</sn>", info)[1]
        self.needs_token = int(re.search(r"<software>[A-Z](\d+)\.", info)[1]) >= 7
        self.token = gateway_token(self.serial) if self.needs_token else None
        self.seen = Seen()
        self.sessions = set()
        self.server = None

    async def start(self):
        gateway = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 60

            def do_GET(self):
                gateway.answer(self)

            do_HEAD = do_POST = do_PUT = do_GET

            def log_message(self, *_):
                pass

        self.server = Threads(("127.0.0.1", 0), Handler)
        if self.needs_token:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(FIXTURES / "tls/gateway.pem", FIXTURES / "tls/gateway.key")
            # The handshake is done by the thread of its connection.
            listening = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
            self.server.socket = listening
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.port = self.server.server_address[1]

    async def stop(self):
        await asyncio.to_thread(self.server.shutdown)
        self.server.server_close()

    def answer(self, request):
        authorization, cookie = request.headers.get("Authorization", ""), request.headers.get("Cookie", "")
        self.seen.add(request.command, request.path, authorization, cookie)
        logged_in = authorization == f"Bearer {self.token}" or cookie.removeprefix("sessionId=") in self.sessions
        file = request.path[1:].translate(str.maketrans("/?=&", "____"))
        file = self.folder / SAME.get(file, file)
        headers, kind = {}, "text/html"
        reads = request.command in ("GET", "HEAD") or (request.command, request.path) == ("POST", "/auth/check_jwt")
        if not reads:
            status, body = 405, b"<html><body><h2>405 Not Allowed</h2></body></html>"
        elif self.needs_token and not logged_in and file.name != "info":
            status, body = 401, b"<html><body><h2>401 Authorization Required</h2></body></html>"
        elif request.path == "/auth/check_jwt" and self.needs_token:
            session = secrets.token_hex(16)
            self.sessions.add(session)
            status, body, headers = 200, VALID, {"Set-Cookie": f"sessionId={session}; Secure; HttpOnly; path=/"}
        elif file.is_file():
            status, body = 200, file.read_bytes()
            is_html = body.lstrip()[:1] == b"<"
            kind = "text/xml" if file.name == "info" else "text/html" if is_html else "application/json"
        else:
            status, body = 404, b'{ "error" : "404 - Not Found" }'
        request.send_response(status)
        for name, value in {**headers, "Content-Type": kind, "Content-Length": len(body)}.items():
            request.send_header(name, value)
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(body)


class Threads(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """A client that hangs up is no error."""


class Recorded:
    """A recorded gateway, which `replay.py` serves."""

    def __init__(self, folder):
        import replay

        recorded = replay.RecordedSet(str(folder))
        self.folder, self.name, self.serial, self.needs_token = folder, folder.name, recorded.serial, recorded.v7
        self.token = replay.make_token(recorded.serial) if recorded.v7 else None
        self.seen = seen = Seen()

        class Gateway(replay.Gateway):
            def answer(self, method, target, headers):
                seen.add(method, target, headers.get("authorization", ""), headers.get("cookie", ""))
                return super().answer(method, target, headers)

        self.server = Gateway(recorded, token=self.token)

    async def start(self):
        self.port = await self.server.start()

    async def stop(self):
        await self.server.stop()


def all_gateways(recordings):
    """Returns every invented gateway, and every recorded one if there is a folder of them: as (class, folder)."""
    found = [(Invented, path.parent) for path in sorted(FIXTURES.glob("*/info")) if path.is_file()]
    if recordings:
        sys.path.insert(0, recordings)
        found += [(Recorded, path.parent) for path in sorted(pathlib.Path(recordings).glob("sets/*/info"))]
    return found
