"""Stands in for the API server of a Kubernetes cluster: runs the command of each job's container.

A job gets an empty folder and the environment that its secrets give it, and nothing of that of the
workflow, as in a container. What it asks for is kept, to be looked at.
"""

import base64
import json
import shutil
import subprocess
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

SUCCESS = {"kind": "Status", "apiVersion": "v1", "status": "Success"}


class Cluster(ThreadingHTTPServer):
    """Serves on loopback, at `port`; `image` is the environment that a container starts with."""

    daemon_threads = True

    def __init__(self, image: dict[str, str], at_once: int = 2):
        super().__init__(("127.0.0.1", 0), _Api)
        self.image = image
        self.port = self.server_address[1]
        self.secrets: dict[str, dict[str, str]] = {}
        self.jobs: dict[str, dict[str, Any]] = {}
        self.said: dict[str, str] = {}
        self._places = threading.Semaphore(at_once)

    def add(self, body: dict[str, Any]) -> None:
        """Take a job, and run it when there is a place."""
        self.jobs[body["metadata"]["name"]] = body | {"status": {"active": 1}}
        threading.Thread(target=self._run, args=(body,), daemon=True).start()

    def _run(self, body: dict[str, Any]) -> None:
        name = body["metadata"]["name"]
        (container,) = body["spec"]["template"]["spec"]["containers"]
        environment = dict(self.image)
        for variable in container.get("env", []):
            reference = variable["valueFrom"]["secretKeyRef"]
            value = self.secrets[reference["name"]][reference["key"]]
            environment[variable["name"]] = base64.b64decode(value).decode()
        folder = tempfile.mkdtemp()
        with self._places:
            done = subprocess.run(
                [*container["command"], *container["args"]],
                cwd=folder,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        shutil.rmtree(folder, ignore_errors=True)
        self.said[name] = done.stdout
        self.jobs[name]["status"] = {"failed": 1} if done.returncode else {"succeeded": 1}

    def kubeconfig(self, path: Path) -> Path:
        """Write the file that tells clients where the cluster is."""
        server = {"cluster": {"server": f"http://127.0.0.1:{self.port}"}, "name": "here"}
        context = {"context": {"cluster": "here", "user": "me"}, "name": "here"}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "clusters": [server],
            "contexts": [context],
            "users": [{"name": "me", "user": {}}],
        }
        path.write_text(json.dumps(content))
        path.chmod(0o600)
        return path


class _Api(BaseHTTPRequestHandler):
    server: Cluster

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def _answer(self, content: dict[str, Any], code: int = 200) -> None:
        body = json.dumps(content).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _parts(self) -> list[str]:
        """What follows the namespace in the address: `jobs`, and perhaps a name and `status`."""
        return urlparse(self.path).path.partition("/namespaces/")[2].split("/")[1:]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        match self._parts():
            case ["secrets"]:
                self.server.secrets[body["metadata"]["name"]] = body["data"]
            case ["jobs"]:
                self.server.add(body)
            case _:
                return self._answer({}, 404)
        self._answer(body, 201)

    def do_GET(self) -> None:
        match self._parts():
            case ["jobs", name, "status"] if name in self.server.jobs:
                self._answer(self.server.jobs[name])
            case ["pods"]:
                self._answer({"kind": "PodList", "apiVersion": "v1", "items": []})
            case _:
                self._answer({}, 404)

    def do_DELETE(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer(SUCCESS)
