"""The first process of a container that acts as an EC2 instance: metadata service, user data, shutdown.

Like cloud-init it runs a script once, as root, with its output on the console. Like an instance it then stays until its
shutdown. Standard library only, because it runs on any image's Python.
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
SHUTDOWN = Path("/run/localcloud-shutdown")  # holds the Unix time of the shutdown
TOOLS = "/opt/localcloud"
COMMANDS = {
    # Keeps compiled modules elsewhere, because their folder is read-only; without them every call takes a second more.
    "aws": f'PYTHONPATH={TOOLS}/aws PYTHONPYCACHEPREFIX=/var/cache/python exec python3 -m awscli "$@"',
    "docker": f'exec python3 {TOOLS}/machine/docker.py "$@"',
    "shutdown": f'exec python3 {TOOLS}/machine/shutdown.py "$@"',
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
            _log(f"user data ended with exit code {process.returncode}")
            process = None
    _log("shutting down")
    if process:
        _end(process)
    return 0


def _script(content: bytes) -> str:
    """Write the user data to a file and return its path; "" when there is nothing to run."""
    content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    if not content.startswith(b"#!"):
        if content:
            _log("the user data is not a script (#!): localcloud runs only scripts")
        return ""
    path = Path("/var/lib/cloud/instance/user-data.txt")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o700)
    return str(path)


def _user_data() -> bytes:
    """The user data, read like cloud-init: from the metadata service, with a token."""
    token = _metadata("PUT", "/latest/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "60"})[1].decode()
    status, content = _metadata("GET", "/latest/user-data", {"X-aws-ec2-metadata-token": token})
    return content if status == 200 else b""


def _metadata(method: str, path: str, headers: dict[str, str]) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(METADATA, timeout=10)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    return answer.status, answer.read()


def _take_address(address: str) -> None:
    """Give the loopback interface another address (Linux's SIOCSIFADDR; needs NET_ADMIN)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        name, packed = b"lo:1", socket.inet_aton(address)
        fcntl.ioctl(client, 0x8916, struct.pack("16sH2s4s8s", name, socket.AF_INET, b"\0" * 2, packed, b"\0" * 8))


def _serve_metadata(url: str) -> None:
    """Start the metadata service. It forwards each request to localcloud at `url`, which knows the instance."""
    localcloud = urlsplit(url)

    class Relay(BaseHTTPRequestHandler):
        def _relay(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            connection = http.client.HTTPConnection(localcloud.hostname or "", localcloud.port, timeout=10)
            headers = {key: value for key, value in self.headers.items() if key.lower() != "host"}
            connection.request(self.command, localcloud.path + self.path, body=body, headers=headers)
            answer = connection.getresponse()
            content = answer.read()
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.headers.get("Content-Type", "text/plain"))
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = do_HEAD = _relay  # noqa: N815 (http.server's names)

        def log_message(self, *_: object) -> None:
            """Log nothing: the console belongs to the instance."""

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


def _log(text: str) -> None:
    print(f"localcloud instance: {text}", file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
