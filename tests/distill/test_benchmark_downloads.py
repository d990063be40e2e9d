"""evenhand data: fetching benchmark files, from a local server."""

import contextlib
import errno
import hashlib
import io
import os
import re
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from distill import benchmark_downloads
from distill.benchmark_downloads import Benchmark, checksum, main

ROWS, TERMS = b"id,text\r\n1,The nurse slept.\n", b"nurse\n"
FILES = {"rows.csv": ROWS, "more/terms.txt": TERMS}  # on the server
WHOLE = {"pairs/rows.csv": ROWS, "pairs/terms.txt": TERMS}  # in the user's folder


class Server(ThreadingHTTPServer):
    """Serves `pages` and writes down what is asked for. Of the pages in `broken` it sends the first half only."""

    def __init__(self):
        self.pages, self.asked, self.broken = {}, [], set()
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/data/"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        name = self.path.removeprefix("/data/")
        self.server.asked.append(name)
        if name not in self.server.pages:
            self.send_error(404)
            return
        page = self.server.pages[name]
        self.send_response(200)
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page[: len(page) // 2] if name in self.server.broken else page)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def sha(content):
    return hashlib.sha256(content).hexdigest()


def benchmark(url, **changes):
    given = {
        "title": "Small pairs",
        "licence": "CC BY 4.0",
        "home": "https://example.org/pairs",
        "url": url,
        "settings": {"benchmarks.pairs": "rows.csv", "benchmarks.terms": "."},
        "files": {name: sha(content) for name, content in FILES.items()},
    }
    return Benchmark(**given | changes)


@pytest.fixture
def pairs(server, monkeypatch):
    """A benchmark of two files, which are on the server."""
    server.pages |= FILES
    table = {"pairs": benchmark(server.url)}
    monkeypatch.setattr(benchmark_downloads, "published", lambda: table)
    return table


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_licence_comes_before_anything_is_fetched_and_the_setting_at_the_end(pairs, server, tmp_path, capsys):
    shown = []
    server.asked = type("Asked", (list,), {"append": lambda *_: shown.append(capsys.readouterr().out)})()
    main(["get", "pairs", "--to", str(tmp_path)])
    assert shown[0] == "pairs: Small pairs, https://example.org/pairs\nlicence: CC BY 4.0\n"
    use = f"use: evenhand eval MODEL benchmarks.pairs={tmp_path}/pairs/rows.csv benchmarks.terms={tmp_path}/pairs"
    assert capsys.readouterr().out.splitlines()[-1] == use
    assert contents(tmp_path) == WHOLE


def test_what_is_there_is_checked_and_not_fetched_again(pairs, server, tmp_path, capsys):
    (tmp_path / "pairs").mkdir()
    (tmp_path / "pairs" / "rows.csv").write_bytes(ROWS)
    main(["get", "pairs", "--to", str(tmp_path)])
    assert server.asked == ["more/terms.txt"]
    assert "rows.csv is there already and has the published checksum" in capsys.readouterr().out
    main(["get", "pairs", "--to", str(tmp_path)])
    assert server.asked == ["more/terms.txt"]
    assert contents(tmp_path) == WHOLE


def test_an_interrupted_fetch_goes_on(pairs, server, tmp_path):
    del server.pages["more/terms.txt"]
    with pytest.raises(OSError, match=r"terms.txt could not be fetched: the server says 404 Not Found; see https://"):
        main(["get", "pairs", "--to", str(tmp_path)])
    assert contents(tmp_path) == {"pairs/rows.csv": ROWS}
    server.pages["more/terms.txt"] = TERMS
    main(["get", "pairs", "--to", str(tmp_path)])
    assert server.asked == ["rows.csv", "more/terms.txt", "more/terms.txt"]
    assert contents(tmp_path) == WHOLE


def test_a_file_of_the_user_with_another_content_is_left_alone(pairs, server, tmp_path):
    (tmp_path / "pairs").mkdir()
    (tmp_path / "pairs" / "rows.csv").write_bytes(b"mine")
    message = (
        f"rows.csv is not the published file: .* is {sha(b'mine')}, .* one is {sha(ROWS)}; move it away, or .*--to"
    )
    with pytest.raises(ValueError, match=message):
        main(["get", "pairs", "--to", str(tmp_path)])
    assert server.asked == []
    assert contents(tmp_path) == {"pairs/rows.csv": b"mine"}


def test_a_changed_file_is_not_kept_and_both_checksums_are_named(pairs, server, tmp_path):
    server.pages["rows.csv"] = b"changed"
    message = f"rows.csv from {server.url} has the checksum {sha(b'changed')}, not the published {sha(ROWS)}, so it is"
    with pytest.raises(ValueError, match=message):
        main(["get", "pairs", "--to", str(tmp_path)])
    assert contents(tmp_path) == {}


def test_a_connection_that_ends_early_leaves_nothing(pairs, server, tmp_path):
    server.broken.add("rows.csv")
    with pytest.raises(OSError, match=r"rows.csv could not be fetched \(IncompleteRead.*is there a network\?"):
        main(["get", "pairs", "--to", str(tmp_path)])
    assert contents(tmp_path) == {}


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (benchmark_downloads.URLError(OSError("Name or service not known")), "Name or service not known"),
        (TimeoutError("timed out"), "timed out"),
        (ConnectionResetError("Connection reset by peer"), "Connection reset by peer"),
    ],
)
def test_no_network_is_one_message(pairs, tmp_path, monkeypatch, raised, said):
    def urlopen(*_, **__):
        raise raised

    monkeypatch.setattr(benchmark_downloads.urllib.request, "urlopen", urlopen)
    with pytest.raises(OSError, match=rf"rows.csv could not be fetched \({said}\); is there a network\? see https://"):
        main(["get", "pairs", "--to", str(tmp_path)])
    assert contents(tmp_path) == {}


def test_a_full_disk_is_one_message_with_the_option(pairs, tmp_path, monkeypatch):
    @contextlib.contextmanager
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        yield

    monkeypatch.setattr(benchmark_downloads, "written_aside", full)
    with pytest.raises(OSError, match=r"files cannot be written into .*pairs \(No space .*make room, or set --to to a"):
        main(["get", "pairs", "--to", str(tmp_path)])
    assert contents(tmp_path) == {}


def test_a_folder_that_is_a_file_is_one_message_with_the_option(pairs, tmp_path):
    (tmp_path / "data").touch()
    with pytest.raises(OSError, match=r"files cannot be written into .*; set --to to a place that can be written"):
        main(["get", "pairs", "--to", str(tmp_path / "data")])


@pytest.mark.parametrize(("name", "said"), [("pair", "did you mean pairs?"), ("x", "there are pairs")])
def test_an_unknown_name_is_one_message_and_nothing_is_fetched(pairs, server, tmp_path, name, said):
    with pytest.raises(ValueError, match=re.escape(f"no benchmark is called {name!r}; {said}")):
        main(["get", "pairs", name, "--to", str(tmp_path)])
    assert server.asked == []


def packed(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def test_files_of_one_archive_are_fetched_with_it_once(pairs, server, tmp_path):
    pairs["pairs"] = benchmark(server.url + "all.zip")
    server.pages["all.zip"] = packed(FILES | {"unused": b""})
    main(["get", "pairs", "--to", str(tmp_path)])
    main(["get", "pairs", "--to", str(tmp_path)])
    assert server.asked == ["all.zip"]
    assert contents(tmp_path) == WHOLE


@pytest.mark.parametrize(
    ("archive", "said"),
    [(b"<html>", "is not a zip file"), (packed({"rows.csv": ROWS}), "There is no item named 'more/terms.txt'")],
)
def test_an_archive_that_holds_something_else_is_one_message(pairs, server, tmp_path, archive, said):
    pairs["pairs"] = benchmark(server.url + "all.zip")
    server.pages["all.zip"] = archive
    with pytest.raises(OSError, match=rf"all.zip does not hold .* \(.*{said}.*\); see https://example.org"):
        main(["get", "pairs", "--to", str(tmp_path)])


def test_a_file_may_be_known_by_the_name_that_git_gives_its_content(pairs, server, tmp_path):
    named = checksum(TERMS, "git:")
    assert named == "git:f61d129c608a0fd548c436d20f6e722c45bddc24"  # printf 'nurse\n' | git hash-object --stdin
    pairs["pairs"] = benchmark(server.url, files={"rows.csv": named})
    with pytest.raises(ValueError, match=f"rows.csv .*has the checksum {checksum(ROWS, 'git:')}, not .* {named}"):
        main(["get", "pairs", "--to", str(tmp_path)])
    pairs["pairs"] = benchmark(server.url, files={"more/terms.txt": named})
    main(["get", "pairs", "--to", str(tmp_path)])
    assert contents(tmp_path) == {"pairs/terms.txt": TERMS}
