"""CPU time of a cold start of the Lambda handler, beside a plain boto3 handler under the same runtime client.

    .venv/bin/python -m benchmarks.lambda_cold_start [--rounds N]

Each measurement starts a new process of the command that Lambda runs, `python -m awslambdaric HANDLER`, with the
image's version of the runtime client, compiled bytecode, and a Runtime API on loopback. The process is killed when it
asks for the next event. Both handlers pay for importing the runtime client; a handler that does nothing shows that cost
separately. For "ready", both create their AWS client at import. The first answer comes from an HTTP server on loopback,
whose work is not counted, and once more over TLS. Over TLS both trust the same certificate authorities: our handler
reads the one it needs from the system's folder, boto3 reads one file with all of them, as it ships. The handlers are
measured in turns; a first round is not counted.

Writes results/lambda_cold_start.json, .runs.json and .svg.
"""

from __future__ import annotations

import argparse
import base64
import os
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path

from benchmarks.functions.candidates import Candidate, candidates, client_version, variables
from benchmarks.functions.fakes import PICTURE, PREDICTIONS, RuntimeApi, endpoint, serving
from benchmarks.harness import Row, alone, at_most, column, interleaved, machine, write
from benchmarks.harness.rounds import Measured

ROOT = Path(__file__).parents[1]
PATIENCE = 60.0  # seconds
TARGET = 0.25
EVENT = {"image": base64.b64encode(PICTURE).decode()}
PLAIN = {
    "bare Python": "pass",
    "floor": "import http.client, ssl, hmac",
    "ours": "import lambda_container.handler as h; h.application()",
    "boto3": "import boto3; boto3.client('sagemaker-runtime')",
}


def cpu_milliseconds(process: subprocess.Popen[bytes], *, ended: bool = False) -> float:
    """User and system time of a process when it exits; `ended` kills it first. Raises RuntimeError when it failed."""
    if ended:
        process.kill()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode and not ended:
        raise RuntimeError(f"{process.args!r} ended with {process.returncode}")
    return (usage.ru_utime + usage.ru_stime) * 1000


def until_it_waits(candidate: Candidate, events: Sequence[object], url: str, **more: str) -> float:
    """CPU milliseconds from exec until the process has answered all events and asks for the next."""
    api = RuntimeApi(events)
    with serving(api.answer) as port:
        environ = variables(candidate, url, AWS_LAMBDA_RUNTIME_API=f"127.0.0.1:{port}", **more)
        process = subprocess.Popen(candidate.command, env=environ, cwd=candidate.code, stdout=subprocess.DEVNULL)
        waits = api.waiting.wait(PATIENCE)
        spent = cpu_milliseconds(process, ended=True)
        api.over.set()
    answered = [answer.get("predictions") for answer in api.answers]
    if not waits or api.failed or (candidate.name != "nothing" and answered != [PREDICTIONS] * len(events)):
        raise RuntimeError(f"{candidate.name} did not answer: {api.failed or answered}")
    return spent


def plain(code: str, url: str = "http://127.0.0.1:9") -> Measured:
    """The same without the runtime client, in the current Python, as CI's test measures it."""
    me = Candidate(name="plain", python=Path(sys.executable), code=ROOT, module="")
    environ = variables(me, url)
    return {"ready": cpu_milliseconds(subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=environ))}


def measure(rounds: int) -> dict[str, list[Measured]]:
    """CPU milliseconds of each candidate until it is ready, until its first answer, and until its first over TLS."""
    with tempfile.TemporaryDirectory() as name:
        tls, trust = authority(Path(name))
        with serving(endpoint()) as port, serving(endpoint(), tls=tls) as secured:

            def one(candidate: Candidate) -> Measured:
                url, over_tls = f"http://127.0.0.1:{port}", f"https://localhost:{secured}"
                return {
                    "ready": until_it_waits(candidate, [], url),
                    "first answer": until_it_waits(candidate, [EVENT], url),
                    "over TLS": until_it_waits(candidate, [EVENT], over_tls, **trust),
                }

            runs = interleaved({each.name: partial(one, each) for each in candidates()}, rounds, warm=1)
    without = {f"{name}, no runtime client": partial(plain, code) for name, code in PLAIN.items()}
    return runs | interleaved(without, rounds, warm=1)


def authority(folder: Path) -> tuple[ssl.SSLContext, dict[str, str]]:
    """A TLS context with a new certificate, and variables that make clients trust it and this machine's authorities.

    The variables name one file with all certificates, and a folder with one file for each, named by its hash.
    """
    key, cert = folder / "key.pem", folder / "cert.pem"
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=kennel"
    names = ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(cert)]
    subprocess.run([*make.split(), *names], check=True, capture_output=True)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(cert, key)
    own, known = cert.read_text(), ssl.create_default_context().get_ca_certs(binary_form=True)
    each = [own, *map(ssl.DER_cert_to_PEM_cert, known)]
    bundle, certificates = folder / "bundle.pem", folder / "certificates"
    bundle.write_text("".join(each))
    certificates.mkdir()
    for number, text in enumerate(each):
        (certificates / f"{number}.pem").write_text(text)
    subprocess.run(["openssl", "rehash", certificates], check=True, capture_output=True)
    return server, {"SSL_CERT_DIR": str(certificates), "AWS_CA_BUNDLE": str(bundle)}


def rows(runs: Mapping[str, Sequence[Measured]]) -> list[Row]:
    ours, boto3, nothing = (column(runs[name], "ready") for name in ("ours", "boto3", "nothing"))
    added, peers = ([a - b for a, b in zip(whose, nothing, strict=True)] for whose in (ours, boto3))
    peer = "plain boto3 handler"
    table = [
        at_most("ready on awslambdaric, whole process, CPU ms", ours, boto3, peer, target=TARGET),
        at_most("ready: what the handler adds to awslambdaric, CPU ms", added, peers, peer, target=TARGET),
    ]
    for moment in ("first answer", "over TLS"):
        mine, theirs = (column(runs[name], moment) for name in ("ours", "boto3"))
        what = "to the first answer, CPU ms" if moment == "first answer" else "to the first answer over TLS, CPU ms"
        table.append(at_most(what, mine, theirs, peer, target=TARGET))
    return [*table, *plain_rows(runs), alone("awslambdaric alone, with Python, CPU ms", nothing)]


def plain_rows(runs: Mapping[str, Sequence[Measured]]) -> list[Row]:
    """The rows measured without the runtime client."""
    bare, floor, ours, boto3 = (column(runs[f"{name}, no runtime client"], "ready") for name in PLAIN)
    return [
        at_most("import and client without awslambdaric, CPU ms", ours, boto3, "boto3 client", target=TARGET),
        at_most("import and client without awslambdaric, CPU ms", ours, floor, PLAIN["floor"], target=2.0),
        alone("Python alone, CPU ms", bare),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=9)
    runs = measure(parser.parse_args().rounds)
    versions = {"awslambdaric": client_version(), "boto3": version("boto3")}
    title = "Cold start of the function, CPU of a fresh process"
    write("lambda_cold_start", rows(runs), runs, machine(versions), title=title)


if __name__ == "__main__":
    main()
