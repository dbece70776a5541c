"""The first process of a container that plays an EC2 instance: metadata service, user data, shutdown.

It does what cloud-init does with a script: runs it once, as root, with its output on the console. It stays until it is
told to shut down, as an instance does. Standard library only: it runs on any image's Python.
"""

import contextlib
import fcntl
import gzip
import http.client
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

METADATA = "169.254.169.254"
SHUTDOWN = Path("/run/localcloud-shutdown")  # holds the time at which to go down (seconds since 1970)
HERE = "/opt/localcloud"
COMMANDS = {
    # What it compiles is kept, for its folder is read-only: without that every call takes a second more.
    "aws": f'PYTHONPATH={HERE}/aws PYTHONPYCACHEPREFIX=/var/cache/python exec python3 -m awscli "$@"',
    "docker": f'exec python3 {HERE}/machine/docker.py "$@"',
    "shutdown": f'exec python3 {HERE}/machine/shutdown.py "$@"',
}
GRACE_SECONDS = 3.0


def main() -> int:
    for name, line in COMMANDS.items():
        command = Path("/usr/local/bin", name)
        command.parent.mkdir(parents=True, exist_ok=True)
        command.write_text(f"#!/bin/sh\n{line}\n")
        command.chmod(0o755)
    _take_address(METADATA)
    _serve_metadata(os.environ["LOCALCLOUD_METADATA"])
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    script = _script(_user_data())
    process = subprocess.Popen([script], start_new_session=True) if script else None
    while not stopped.wait(0.1) and not _is_due():
        if process and process.poll() is not None:
            _say(f"user data ended with exit code {process.returncode}")
            process = None
    _say("shutting down")
    if process:
        _end(process)
    return 0


def _script(content: bytes) -> str:
    """The user data as a file to run, or "" when there is nothing to run."""
    content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    if not content.startswith(b"#!"):
        if content:
            _say("the user data is no script (#!): localcloud runs scripts only")
        return ""
    path = Path("/var/lib/cloud/instance/user-data.txt")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o700)
    return str(path)


def _user_data() -> bytes:
    """As cloud-init reads it: with a token, from the metadata service."""
    token = _metadata("PUT", "/latest/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "60"})[1].decode()
    status, content = _metadata("GET", "/latest/user-data", {"X-aws-ec2-metadata-token": token})
    return content if status == 200 else b""


def _metadata(method: str, path: str, headers: dict[str, str]) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(METADATA, timeout=10)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    return answer.status, answer.read()


def _take_address(address: str) -> None:
    """Gives the loopback interface a further address (Linux' SIOCSIFADDR; needs NET_ADMIN)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        name, packed = b"lo:1", socket.inet_aton(address)
        fcntl.ioctl(client, 0x8916, struct.pack("16sH2s4s8s", name, socket.AF_INET, b"\0" * 2, packed, b"\0" * 8))


def _serve_metadata(url: str) -> None:
    """Hands each request on to localcloud, which knows the instance."""
    where = urlsplit(url)

    class Relay(BaseHTTPRequestHandler):
        def _relay(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=10)
            kept = {key: value for key, value in self.headers.items() if key.lower() != "host"}
            connection.request(self.command, where.path + self.path, body=body, headers=kept)
            answer = connection.getresponse()
            content = answer.read()
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.headers.get("Content-Type", "text/plain"))
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = do_HEAD = _relay  # noqa: N815 (http.server's names)

        def log_message(self, *_: object) -> None:
            """Quiet: the console is the instance's."""

    server = ThreadingHTTPServer((METADATA, 80), Relay)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def _is_due() -> bool:
    try:
        return time.time() >= float(SHUTDOWN.read_text())
    except (OSError, ValueError):
        return False


def _end(process: "subprocess.Popen[bytes]") -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        try:
            process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            continue
        return


def _say(text: str) -> None:
    print(f"localcloud instance: {text}", file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
