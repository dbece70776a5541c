"""What a cold start of the Lambda handler costs in CPU, against a plain boto3 handler and the standard library's floor.

    .venv/bin/python benchmarks/lambda_cold_start.py [--rounds N]

Each measurement is a fresh process, and the contestants take turns, so that what else the machine does falls on all
alike. The endpoint is a real HTTP server on loopback; its own work is not counted.

Writes results/lambda_cold_start.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "lambda_cold_start.json"

CONTEXT = """
class Context:
    def get_remaining_time_in_millis(self): return 30000
"""
CALL = "import base64; event = {'image': base64.b64encode(bytes.fromhex('ffd8ff') + bytes(50000)).decode()}"
BOTO = "import boto3; client = boto3.client('sagemaker-runtime')"
CODE = {
    "bare Python": "pass",
    "floor": "import http.client, ssl, hmac",
    "ours": "import lambda_container.handler as h; h.application()",
    "boto3": BOTO,
    "ours, first answer": f"""{CONTEXT}{CALL}
import lambda_container.handler as h
assert h.handler(event, Context())["statusCode"] == 200""",
    "boto3, first answer": f"""{CALL}
{BOTO}
import json
answer = client.invoke_endpoint(
    EndpointName='dogs', ContentType='image/jpeg', Accept='application/json', Body=base64.b64decode(event['image']))
assert json.loads(answer['Body'].read())['logits']""",
}


class _Endpoint(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps({"model": {}, "predictions": [], "logits": [[0.5] * 133]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


def cpu_milliseconds(code: str, environment: Mapping[str, str]) -> float:
    """User and system time of one fresh interpreter that runs `code`."""
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{code!r} ended with {process.returncode}")
    return (usage.ru_utime + usage.ru_stime) * 1000


def measure(rounds: int) -> dict[str, float]:
    """The median of each contestant, in milliseconds of CPU; one round before is not counted, it fills the caches."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Endpoint)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "KENNEL_ENDPOINT_NAME": "dogs",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_address[1]}",
    }
    taken: dict[str, list[float]] = {name: [] for name in CODE}
    try:
        for number in range(rounds + 1):
            for name, code in CODE.items():
                milliseconds = cpu_milliseconds(code, environment)
                if number:
                    taken[name].append(milliseconds)
    finally:
        server.shutdown()
        server.server_close()
    return {name: round(statistics.median(values), 1) for name, values in taken.items()}


def row(what: str, ours: float, peer: float, peer_name: str, target: float) -> dict[str, object]:
    ratio = round(ours / peer, 3)
    return {
        "what": what,
        "ours": ours,
        "peer": peer,
        "peer_name": peer_name,
        "ratio": ratio,
        "target": target,
        "met": ratio <= target,
    }


def rows(medians: Mapping[str, float]) -> list[dict[str, object]]:
    ours, first = medians["ours"], medians["ours, first answer"]
    return [
        row("import and client, CPU ms", ours, medians["boto3"], "boto3 client", 0.25),
        row("to the first answer, CPU ms", first, medians["boto3, first answer"], "boto3 handler", 0.25),
        row("import and client, CPU ms", ours, medians["floor"], "import http.client, ssl, hmac", 2.0),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    medians = measure(rounds)
    machine = (
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, boto3 {version('boto3')}"
    )
    print(f"{machine}; medians of {rounds} rounds, CPU milliseconds of a fresh process")
    for name, value in medians.items():
        print(f"  {name:22} {value:7.1f}")
    found = rows(medians)
    for line in found:
        verdict = "met" if line["met"] else "MISSED"
        print(f"  {line['what']} / {line['peer_name']}: {line['ratio']} (target {line['target']}: {verdict})")
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    document = {"machine": machine, "rounds": rounds, "medians": medians, "rows": found}
    RESULTS.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
