"""nginx with the example of its configuration, on loopback and in a folder of its own."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from deploy.devstack.debian import library_path
from deploy.devstack.process import Process
from tests.service import Answer, free_port
from tests.waiting import eventually

EXAMPLE = Path(__file__).resolve().parents[2] / "deploy" / "nginx" / "pillarbox.conf"
NAME = "posts.example.org"
ERRORS = "pillarbox-error.log"
INSIDE, OUTSIDE = "127.0.0.1", "127.0.0.2"

MAIN = """
daemon off;
master_process off;
pid {folder}/pid;
error_log stderr info;
events {{ worker_connections 512; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/pillarbox.conf;
}}
"""


@dataclass(frozen=True, slots=True)
class Installation:
    """The program, and where the libraries are that came with it."""

    program: Path
    root: Path | None = None

    @property
    def environment(self) -> dict[str, str]:
        return {} if self.root is None else {"LD_LIBRARY_PATH": library_path(self.root)}


@dataclass(frozen=True, slots=True)
class Front:
    """A running nginx."""

    folder: Path
    process: Process
    tls_port: int
    plain_port: int
    _context: ssl.SSLContext

    def connect(self, *, source: str = OUTSIDE, tls: bool = True) -> socket.socket:
        """A connection from an address that is inside or outside."""
        port = self.tls_port if tls else self.plain_port
        plain = socket.create_connection(("127.0.0.1", port), 20, source_address=(source, 0))
        return self._context.wrap_socket(plain, server_hostname=NAME) if tls else plain

    def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] = MappingProxyType({}),
        *,
        source: str = OUTSIDE,
        tls: bool = True,
    ) -> Answer:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection(NAME)
        connection.sock = self.connect(source=source, tls=tls)
        try:
            connection.request(method, path, body, {"host": NAME, **headers})
            return read_answer(connection.sock)
        finally:
            connection.close()

    def exchange(self, request: bytes, *, source: str = OUTSIDE, tls: bool = True) -> Answer:
        """What bytes are answered that need not be a request."""
        with self.connect(source=source, tls=tls) as connection:
            connection.sendall(request)
            return read_answer(connection)

    def access_log(self) -> str:
        return (self.folder / "access.log").read_text()

    def error_logs(self) -> str:
        """What nginx has written to any other log."""
        return "".join((self.folder / name).read_text() for name in ("error.log", ERRORS))


def read_answer(connection: socket.socket) -> Answer:
    with http.client.HTTPResponse(connection) as response:
        response.begin()
        text = response.read().decode()
        found = {name.lower(): value for name, value in response.getheaders()}
    is_json = found.get("content-type", "").endswith("json")
    return Answer(response.status, found, json.loads(text) if is_json else text)


def assert_problem(answer: Answer, status: int) -> None:
    assert answer.status == status, answer
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.body["status"] == status
    assert answer.body["title"] != "Error"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["server"] == "nginx"


def configure(folder: Path, upstream: int, **changes: str) -> tuple[int, int]:
    """Write the example with ports and paths of a test; the ports of TLS and of plain HTTP."""
    tls, plain = free_port(), free_port()
    replaced = {
        "server 127.0.0.1:8000": f"server 127.0.0.1:{upstream}",
        "    listen [::]:80;\n": "",
        "    listen [::]:443 ssl;\n": "",
        "listen 80;": f"listen 127.0.0.1:{plain};",
        "listen 443 ssl": f"listen 127.0.0.1:{tls} ssl",
        "/var/log/nginx/pillarbox.log": f"{folder}/access.log",
        "/var/log/nginx/pillarbox-error.log": f"{folder}/{ERRORS}",
        f"/etc/letsencrypt/live/{NAME}/fullchain.pem": f"{folder}/certificate.pem",
        f"/etc/letsencrypt/live/{NAME}/privkey.pem": f"{folder}/key.pem",
        **changes,
    }
    text = EXAMPLE.read_text()
    for old, new in replaced.items():
        assert old in text
        text = text.replace(old, new)
    (folder / "pillarbox.conf").write_text(text)
    (folder / "nginx.conf").write_text(MAIN.format(folder=folder))
    make_certificate(folder)
    return tls, plain


def make_certificate(folder: Path) -> None:
    """A certificate for the name of the example, signed by itself."""
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    files = ("-keyout", folder / "key.pem", "-out", folder / "certificate.pem")
    subject = ("-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}", "-days", "2")
    made = ["openssl", "req", "-x509", *key, *files, *subject]
    subprocess.run(made, check=True, capture_output=True, timeout=30)


def command(nginx: Installation, folder: Path, *more: str) -> list[str]:
    given = ("-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr")
    return [str(nginx.program), *given, *more]


@contextmanager
def running_nginx(
    nginx: Installation, folder: Path, upstream: int, **changes: str
) -> Iterator[Front]:
    """Start nginx in front of a port; `changes` are of the example's text."""
    tls, plain = configure(folder, upstream, **changes)
    process = Process(
        "nginx",
        command(nginx, folder),
        log=folder / "error.log",
        env=nginx.environment,
        cwd=folder,
    )
    context = ssl.create_default_context(cafile=folder / "certificate.pem")
    process.start()
    try:
        eventually(lambda: _listens(process, tls) and _listens(process, plain), 15)
        yield Front(folder, process, tls, plain, context)
    finally:
        process.stop(5)


def _listens(process: Process, port: int) -> bool:
    assert process.poll() is None, process.complaint("ended")
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def installed() -> Installation | None:
    """The machine's own nginx, if it has one."""
    found = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    return Installation(Path(found)) if found and shutil.which("openssl") else None
