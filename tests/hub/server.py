"""A hub on loopback: as much of the hub's protocol as huggingface_hub, transformers and datasets speak here.

It keeps repositories with their commits in memory, and records every request. A test says what is to go wrong: `Fault`.
"""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from huggingface_hub import close_session

Files = dict[str, bytes]
Fault = Callable[[BaseHTTPRequestHandler, bytes], bool]  # given a request and the body of a file; True if it answered

FILE = re.compile(r"/(?:(?P<type>datasets)/)?(?P<name>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<file>.+)")
API = re.compile(r"/api/(?P<type>models|datasets)/(?P<name>[^/]+/[^/]+)(?:/(?P<rest>.+))?")


@dataclass
class Repository:
    """Its commits, from the first to the newest (branch `main`), and other branches and tags.

    token: what a gated or private one asks for.
    """

    commits: dict[str, Files] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    token: str | None = None
    gated: bool = False

    def commit(self, files: Files) -> str:
        """Add a commit with these files only; returns its name."""
        name = hashlib.sha1(repr((len(self.commits), sorted(files.items()))).encode()).hexdigest()
        self.commits[name] = dict(files)
        return name

    def find(self, revision: str) -> str | None:
        """The commit that a revision stands for."""
        if revision == "main" and self.commits:
            return list(self.commits)[-1]
        return revision if revision in self.commits else self.branches.get(revision)


class Hub(ThreadingHTTPServer):
    """repositories: by type and name, ("models", "me/teacher"). requests: "METHOD path" of everything that was asked.

    faults: by a part of the path, what happens in place of the answer.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.requests: list[str] = []
        self.faults: dict[str, Fault] = {}
        self.large_files: dict[str, bytes] = {}  # of uploads, by their SHA-256
        self.endpoint = f"http://127.0.0.1:{self.server_address[1]}"
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def add(self, name: str, files: Files | Path, kind: str = "models", **settings: object) -> str:
        """Commit files, or a folder, to a repository, which is created if needed; returns the commit."""
        if isinstance(files, Path):
            files = {file.name: file.read_bytes() for file in files.iterdir()}
        repository = self.repositories.setdefault((kind, name), Repository(**settings))
        return repository.commit(files)

    def stop(self) -> None:
        """Stop answering: connections are refused from now on."""
        self.shutdown()
        self.server_close()
        self._thread.join()
        close_session()  # a connection that is open would still be served


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def handle_any(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = unquote(urlsplit(self.path).path)
        self.server.requests.append(f"{self.command} {path}")
        for part, fault in self.server.faults.items():
            if part in path and fault(self, b""):
                return
        if match := FILE.fullmatch(urlsplit(self.path).path):
            self._file(**{name: unquote(value or "") for name, value in match.groupdict().items()})
        elif match := API.fullmatch(urlsplit(self.path).path):
            self._api(match["type"], unquote(match["name"]), *(unquote(part) for part in _parts(match["rest"])))
        elif path == "/api/repos/create":
            self._create(json.loads(self.body))
        elif path == "/api/validate-yaml":
            self.answer(200, {"warnings": [], "errors": []})
        elif path.endswith(".git/info/lfs/objects/batch"):
            objects = json.loads(self.body)["objects"]
            actions = [{"upload": {"href": f"{self.server.endpoint}/lfs/{file['oid']}"}} for file in objects]
            answers = [file | {"actions": action} for file, action in zip(objects, actions, strict=True)]
            self.answer(200, {"transfer": "basic", "objects": answers})
        elif path.startswith("/lfs/"):
            self.server.large_files[path.removeprefix("/lfs/")] = self.body
            self.answer(200)
        else:
            self.answer(404)

    do_GET = do_HEAD = do_POST = do_PUT = handle_any  # noqa: N815

    def answer(self, status: int, content: object = b"", **headers: object) -> None:
        """Send a whole answer; content: bytes, or what becomes JSON. headers: with _ for -."""
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content_Length": len(body), **headers}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status: int, code: str, message: str, **headers: object) -> None:
        """Send an error as the hub does: `code` is what its clients look at."""
        self.answer(status, {"error": message}, X_Error_Code=code, X_Error_Message=message, **headers)

    def _repository(self, kind: str, name: str) -> Repository | None:
        """The repository, or None when the refusal has been sent."""
        repository = self.server.repositories.get((kind or "models", name))
        allowed = repository is not None and self.headers.get("Authorization") == f"Bearer {repository.token}"
        if repository is None or (repository.token is not None and not repository.gated and not allowed):
            self.refuse(401, "RepoNotFound", "Repository not found")
        elif repository.gated and not allowed:
            status = 403 if "Authorization" in self.headers else 401
            self.refuse(status, "GatedRepo", f"Access to {name} is restricted and you are not in the authorized list")
        else:
            return repository
        return None

    def _find(self, kind: str, name: str, revision: str) -> tuple[str, Files] | None:
        """A commit and its files, or None when the refusal has been sent."""
        repository = self._repository(kind, name)
        if repository is None:
            return None
        commit = repository.find(revision)
        if commit is None:
            self.refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return None
        return commit, repository.commits[commit]

    def _file(self, type: str, name: str, revision: str, file: str) -> None:
        found = self._find(type, name, revision)
        if found is None:
            return
        commit, files = found
        if file not in files:
            self.refuse(404, "EntryNotFound", "Entry not found", X_Repo_Commit=commit)
            return
        content = files[file]
        for part, fault in self.server.faults.items():
            if part in f"content of {file}" and self.command == "GET" and fault(self, content):
                return
        etag = f'"{hashlib.sha256(content).hexdigest()}"'
        headers = {"X_Repo_Commit": commit, "ETag": etag, "Accept_Ranges": "bytes"}
        headers |= {"X_Linked_Size": len(content), "X_Linked_ETag": etag}
        begin = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if begin is None:
            self.answer(200, content, **headers)
        else:
            first, last = int(begin[1]), int(begin[2] or len(content) - 1)
            self.answer(206, content[first : last + 1], Content_Range=f"bytes {first}-{last}/{len(content)}", **headers)

    def _api(self, type: str, name: str, question: str, revision: str, folder: str) -> None:
        if question in ("preupload", "commit"):
            repository = self._repository(type, name)
            if repository is not None:
                self._preupload() if question == "preupload" else self._commit(name, repository)
            return
        found = self._find(type, name, revision or "main")
        if found is None:
            return
        commit, files = found
        entries = [{"type": "file", "path": file, "size": len(files[file]), "oid": _oid(files[file])} for file in files]
        if question in ("", "revision"):
            self.answer(200, {"id": name, "sha": commit, "siblings": [{"rfilename": file} for file in files]})
        elif question == "tree":
            below = [entry for entry in entries if not folder or str(entry["path"]).startswith(f"{folder}/")]
            if folder and not below:
                self.refuse(404, "EntryNotFound", "Entry not found", X_Repo_Commit=commit)
            else:
                self.answer(200, below)
        elif question == "paths-info":
            form = json.loads(self.body) if self.body.startswith(b"{") else parse_qs(self.body.decode())
            self.answer(200, [entry for entry in entries if entry["path"] in form["paths"]])
        else:
            self.answer(404)

    # -- uploads -----------------------------------------------------------------------------------------------------

    def _create(self, form: dict[str, str]) -> None:
        name = f"{form['organization']}/{form['name']}"
        if self.headers.get("Authorization") is None:
            self.refuse(401, "", "Invalid username or password.")
        elif ("models", name) in self.server.repositories:
            self.answer(409, {"url": f"{self.server.endpoint}/{name}", "error": "You already created this repo"})
        else:
            token = self.headers["Authorization"].removeprefix("Bearer ")
            self.server.repositories["models", name] = Repository(token=token)
            self.answer(200, {"url": f"{self.server.endpoint}/{name}"})

    def _preupload(self) -> None:
        files = [file["path"] for file in json.loads(self.body)["files"]]
        modes = {file: "lfs" if file.endswith(".safetensors") else "regular" for file in files}
        self.answer(
            200, {"files": [{"path": file, "uploadMode": modes[file], "shouldIgnore": False} for file in files]}
        )

    def _commit(self, name: str, repository: Repository) -> None:
        lines = [json.loads(line) for line in self.body.splitlines()]
        small = {line["value"]["path"]: line["value"]["content"] for line in lines if line["key"] == "file"}
        large = {line["value"]["path"]: line["value"]["oid"] for line in lines if line["key"] == "lfsFile"}
        files = {path: base64.b64decode(content) for path, content in small.items()}
        files |= {path: self.server.large_files[oid] for path, oid in large.items()}
        commit = repository.commit(files)
        self.answer(200, {"commitUrl": f"{self.server.endpoint}/{name}/commit/{commit}", "commitOid": commit})


def _parts(rest: str | None) -> tuple[str, str, str]:
    """What is asked about a repository, at which revision, and where in it."""
    question, _, place = (rest or "").partition("/")
    revision, _, folder = place.partition("/")
    return question, revision, folder


def _oid(content: bytes) -> str:
    """What git calls this content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


# -- what can go wrong -----------------------------------------------------------------------------------------------


def rate_limited(request: BaseHTTPRequestHandler, _: bytes) -> bool:
    """Too many requests; the limit is reset in 300 seconds."""
    limits = {"RateLimit": '"resolvers";r=0;t=300', "RateLimit_Policy": '"fixed window";"resolvers";q=3000;w=300'}
    request.refuse(429, "", "Too many requests", **limits)
    return True


def failing(request: BaseHTTPRequestHandler, _: bytes) -> bool:
    """The hub is out of order."""
    request.refuse(503, "", "Out of order")
    return True


def broken(times: int, after: int = 10) -> Fault:
    """The connection breaks after so many bytes of a file, so many times."""
    left = [times]

    def fault(request: BaseHTTPRequestHandler, content: bytes) -> bool:
        if not left[0] or not content:
            return False
        left[0] -= 1
        request.send_response(200)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content[:after])
        request.close_connection = True
        return True

    return fault
