"""A stand-in of the Hugging Face hub on loopback: what reading a dataset or model asks of it."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def digest(data: bytes) -> str:
    """The sha256 sum of bytes."""
    return hashlib.sha256(data).hexdigest()


class Hub:
    """Serves one repository's files at one commit; `fault` may spoil an answer.

    `fault(method, path, start)` gives None, or what to do instead: "refuse" (503), "cut" (the
    connection ends in the middle) or "alter" (other bytes of the same length). `requests` holds
    every (method, path, range). A model may have further `revisions`, names of other commits'
    files; be `gated`; or have `moved` to another name. `others` are served at the same address.
    """

    def __init__(
        self,
        repository: str,
        files: dict[str, bytes],
        commit: str = COMMIT,
        others: Sequence[Hub] = (),
    ) -> None:
        self.repository = repository
        self.files = files
        self.commit, self.others = commit, others
        self.revisions: dict[str, tuple[str, dict[str, bytes]]] = {}
        self.gated, self.moved = False, repository
        self.requests: list[tuple[str, str, str | None]] = []
        self.fault: Callable[[str, str, int], str | None] = lambda method, path, start: None
        self.server: ThreadingHTTPServer  # of the one that is entered

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self) -> Hub:
        class Handler(_Handler):
            hub = self

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.server.shutdown()
        self.server.server_close()

    def of(self, path: str) -> Hub:
        """Whose path this is: another one's that is named in it, or its own."""
        return next((hub for hub in self.others if f"/{hub.repository}/" in f"{path}/"), self)

    def described(self, path: str) -> dict[str, Any]:
        """A file as the API lists it, kept by LFS under the sha256 sum of its bytes."""
        data = self.files[path]
        lfs = {"oid": digest(data), "size": len(data), "pointerSize": 130}
        oid = hashlib.sha1(data).hexdigest()
        return {"type": "file", "path": path, "size": len(data), "oid": oid, "lfs": lfs}

    def listed(self, folder: str, recursive: bool) -> list[dict[str, Any]]:
        """Files and folders in a folder of the repository, or all files below it."""
        prefix = f"{folder}/" if folder else ""
        below = [path for path in self.files if path.startswith(prefix)]
        deeper = {
            path[: path.index("/", len(prefix))] for path in below if "/" in path[len(prefix) :]
        }
        if recursive:
            return [self.described(path) for path in below]
        here = [path for path in below if "/" not in path[len(prefix) :]]
        folders = [{"type": "directory", "path": path, "oid": "0" * 40} for path in sorted(deeper)]
        return [*folders, *map(self.described, here)]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.answer()

    def do_HEAD(self) -> None:
        self.answer()

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        self.answer(self.rfile.read(length))

    def answer(self, body: bytes = b"") -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub = hub = type(self).hub.of(path)
        hub.requests.append((self.command, path, self.headers.get("Range")))
        if path.startswith(f"/api/models/{hub.repository}/revision/"):
            self.model(path.rpartition("/")[2])
            return
        for commit, files in hub.revisions.values():
            if path.startswith(f"/{hub.repository}/resolve/{commit}/"):
                self.file(path.partition(f"{commit}/")[2], files, commit)
                return
        api, at = f"/api/datasets/{hub.repository}", hub.commit
        files = f"/datasets/{hub.repository}/resolve/{at}/"
        if path.startswith(f"/{hub.repository}/"):  # a model's files stand without a kind
            path = f"/datasets{path}"
        if path == f"{api}/revision/{at}":
            siblings = [{"rfilename": name} for name in hub.files]
            self.json({"id": hub.repository, "sha": at, "siblings": siblings})
        elif path.startswith(f"{api}/tree/{at}"):
            recursive = "recursive=true" in urlsplit(self.path).query.lower()
            folder = path.removeprefix(f"{api}/tree/{at}").strip("/")
            self.json(hub.listed(folder, recursive))
        elif path == f"{api}/paths-info/{at}":
            wanted = json.loads(body)["paths"]
            self.json([hub.described(name) for name in wanted if name in hub.files])
        elif path.startswith(files) and path.removeprefix(files) in hub.files:
            self.file(path.removeprefix(files))
        else:
            known = f"/{hub.repository}/" in path
            error = "EntryNotFound" if at in path else "RevisionNotFound"
            self.json(
                {"error": "not found"}, 404, {"X-Error-Code": error if known else "RepoNotFound"}
            )

    def model(self, revision: str) -> None:
        """What the API tells of a model at a commit or a name of one."""
        hub = self.hub
        commits = {commit: (commit, files) for commit, files in hub.revisions.values()}
        own = (hub.commit, hub.files)
        known = {hub.commit: own, "main": own} | hub.revisions | commits
        if hub.gated:
            self.json({"error": "gated"}, 403, {"X-Error-Code": "GatedRepo"})
        elif revision not in known:
            self.json({"error": "not found"}, 404, {"X-Error-Code": "RevisionNotFound"})
        else:
            commit, files = known[revision]
            siblings = []
            for name, data in files.items():
                lfs: dict[str, Any] = {"sha256": digest(data), "size": len(data)}
                lfs["pointerSize"] = 130
                siblings.append({"rfilename": name, "size": len(data), "lfs": lfs})
            self.json({"id": hub.moved, "sha": commit, "siblings": siblings})

    def json(self, value: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.head(status, {"Content-Type": "application/json", **(headers or {})})
        self.body(json.dumps(value).encode())

    def head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)

    def body(self, data: bytes, length: int | None = None) -> None:
        self.send_header("Content-Length", str(len(data) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def file(
        self, name: str, files: dict[str, bytes] | None = None, commit: str | None = None
    ) -> None:
        """A file, or the part of it that a Range asks for."""
        data = (files or self.hub.files)[name]
        oid = self.hub.described(name)["lfs"]["oid"] if files is None else digest(data)
        asked = self.headers.get("Range")
        start, stop = 0, len(data)
        if asked:
            first, _, last = asked.removeprefix("bytes=").partition("-")
            start, stop = int(first), min(int(last) + 1 if last else stop, stop)
        headers = {
            "ETag": f'"{oid}"',
            "X-Repo-Commit": commit or self.hub.commit,
            "X-Linked-Size": str(len(data)),
            "X-Linked-ETag": f'"{oid}"',
            "Accept-Ranges": "bytes",
        }
        if asked:
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(data)}"
        fault = self.hub.fault(self.command, name, start)
        part = data[start:stop]
        if fault == "refuse":
            self.json({"error": "unavailable"}, 503)
            return
        if fault == "alter":
            part = bytes(byte ^ 1 for byte in part)
        self.head(206 if asked else 200, headers)
        if fault == "cut" and self.command == "GET":
            self.body(part[: len(part) // 2], len(part))
            self.close_connection = True
            return
        self.body(part)
