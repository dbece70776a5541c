"""A localcloud of one's own and tiny images for the hosting and function tests; nothing is left behind."""

import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

import docker
from tests.container.localcloud.roles import make_roles

REPOSITORY = Path(__file__).parents[4]
ROLE = "arn:aws:iam::123456789012:role/kennel"

SERVER = """
import json, os, signal, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

if os.environ.get("DIE"):
    sys.exit("this container cannot start: " + os.environ["DIE"])

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    def log_message(self, *_): pass
    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        self.answer(500 if os.environ.get("SICK") else 200)
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        order = json.loads(body) if self.headers.get("Content-Type") == "application/json" else {}
        print("asked for", order, flush=True)
        if order.get("die"):
            os._exit(9)
        time.sleep(order.get("sleep", 0))
        if os.environ.get("FAIL"):
            return self.answer(500, b"this version is broken")
        if order.get("status"):
            return self.answer(order["status"], b'{"error": "as ordered"}', Content_Type="application/json")
        model = {name: open("/opt/ml/model/" + name).read() for name in sorted(os.listdir("/opt/ml/model"))}
        try:
            open("/opt/ml/model/written", "w")
            writable = True
        except OSError:
            writable = False
        answer = {"host": os.uname().nodename, "name": os.environ.get("NAME"), "model": model, "writable": writable,
                "headers": dict(self.headers), "argv": sys.argv[1:], "size": len(body)}
        extra = {"X_Amzn_SageMaker_Custom_Attributes": "said"} if order.get("attributes") else {}
        self.answer(200, json.dumps(answer).encode(), Content_Type="application/json", **extra)

class Server(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 128

server = Server(("", int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080"))), Handler)
def stop(*_):
    import threading
    threading.Thread(target=server.shutdown).start()
signal.signal(signal.SIGTERM, stop)
print("serving", flush=True)
server.serve_forever()
os._exit(0)
"""

RUNTIME = """
import json, os, sys, time, urllib.request
base = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime"
def post(path, value, **headers):
    urllib.request.urlopen(urllib.request.Request(base + path, json.dumps(value).encode(), headers)).read()
calls = 0
while True:
    with urllib.request.urlopen(base + "/invocation/next") as reply:
        request, event = reply.headers["Lambda-Runtime-Aws-Request-Id"], json.loads(reply.read())
        arn = reply.headers["Lambda-Runtime-Invoked-Function-Arn"]
    calls += 1
    print("event", json.dumps(event)[:200], flush=True)
    order = event if isinstance(event, dict) else {}
    if order.get("raise"):
        post("/invocation/" + request + "/error", {"errorMessage": order["raise"], "errorType": "ValueError"})
        continue
    if order.get("exit"):
        sys.exit(order["exit"])
    time.sleep(order.get("sleep", 0))
    try:
        open("/written", "w")
        writable = True
    except OSError:
        writable = False
    open("/tmp/written", "w").close()
    post("/invocation/" + request + "/response", {
        "event": event, "calls": calls, "uid": os.getuid(), "writable": writable, "argv": sys.argv[1:],
        "cwd": os.getcwd(),
        "env": {k: v for k, v in os.environ.items() if k.startswith(("AWS_", "MY_"))}, "host": os.uname().nodename})
"""


def base_image(client: docker.DockerClient) -> str:
    """The base that ./inv build makes; without it nothing here can be tested, which is an error and not a skip."""
    for image in client.images.list("kennel/base"):
        if image.tags:
            return str(image.tags[0])
    raise RuntimeError("no kennel/base image: ./inv build")


def build(client: docker.DockerClient, tag: str, dockerfile: str, **files: str) -> str:
    """Build a tiny image on the base; `{base}` in the Dockerfile names it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, text in {"Dockerfile": dockerfile.format(base=base_image(client)), **files}.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    packed.seek(0)
    client.images.build(fileobj=packed, custom_context=True, tag=tag, rm=True, forcerm=True)
    return tag


@dataclass(frozen=True, kw_only=True)
class Running:
    """A localcloud that answers."""

    endpoint_url: str
    instance: str
    docker: docker.DockerClient

    def client(self, service: str, **config: Any) -> Any:
        session: Any = boto3.session.Session(aws_access_key_id="x", aws_secret_access_key="x", region_name="us-east-1")
        settings = Config(retries={"total_max_attempts": 1}, max_pool_connections=64, **config)
        return session.client(service, endpoint_url=self.endpoint_url, config=settings)

    def containers(self, **labels: str) -> list[Any]:
        filters = [f"kennel.localcloud={self.instance}", *(f"{key}={value}" for key, value in labels.items())]
        return list(self.docker.containers.list(filters={"label": [entry.replace("__", ".") for entry in filters]}))

    def model_data(self, key: str, **files: str) -> str:
        """Put a model archive into S3."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            for name, text in files.items():
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode = len(text), 0o600
                archive.addfile(entry, io.BytesIO(text.encode()))
        s3 = self.client("s3", s3={"addressing_style": "path"})
        if "models" not in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]:
            s3.create_bucket(Bucket="models")
        s3.put_object(Bucket="models", Key=key, Body=packed.getvalue())
        return f"s3://models/{key}"


def _answering(process: "subprocess.Popen[bytes]", path: Path) -> dict[str, str]:
    """Wait until the server says where it answers; it writes the file in steps."""
    for _ in range(300):
        info: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
        if "endpoint_url" in info or process.poll() is not None:
            return info
        time.sleep(0.1)
    raise RuntimeError(f"localcloud does not answer: {path}")


@contextmanager
def running(folder: Path, **environment: str) -> Iterator[Running]:
    """Serve from a process of its own until the block ends; then nothing of it may be left."""
    log = (folder / "server.out").open("w")
    command = [sys.executable, "-m", "localcloud", "--port", "0", "--state-dir", str(folder / "state")]
    environ = {**os.environ, **environment}
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=log, stderr=subprocess.STDOUT, env=environ)
    client = docker.from_env()
    info: dict[str, str] = {}
    try:
        info = _answering(process, folder / "state" / "server.json")
        make_roles(info["endpoint_url"], ROLE.rpartition("/")[2])
        yield Running(endpoint_url=info["endpoint_url"], instance=info["instance"], docker=client)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
        log.close()
        left = client.containers.list(all=True, filters={"label": f"kennel.localcloud={info.get('instance', '')}"})
        client.close()
    if left:
        raise RuntimeError(f"localcloud left containers behind: {[container.name for container in left]}")
