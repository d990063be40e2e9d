"""Fetch the files of published benchmarks from their public homes: evenhand data get NAME [NAME ...] [--to FOLDER].

Says the licence first, checks every file against its published checksum, and says which setting reads it. What is there
already is checked and not fetched again, so the same command continues after an interruption. No other module opens a
connection by itself.
"""

from __future__ import annotations

import argparse
import difflib
import hashlib
import io
import sys
import urllib.request
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from http.client import HTTPException
from importlib import resources
from pathlib import Path, PurePosixPath
from urllib.error import HTTPError, URLError

from pydantic import StrictStr

import distill
from augment.command_line import exit_code
from augment.files.safe import written_aside
from distill.files import writing
from distill.settings import load_yaml, section, validate

TABLE = "benchmark_downloads.yaml"
GIT = "git:"
TIMEOUT_SECONDS = 30


@section
class Benchmark:
    """Where a benchmark is published.

    title, licence (as its publisher states it), home (the page to read). url: what the name of a file is appended to,
    or a .zip file that holds the files. settings: each takes one of the files, or all of them as a folder (`.`). files:
    the checksum of each, as `checksum` computes it.
    """

    title: StrictStr
    licence: StrictStr
    home: StrictStr
    url: StrictStr
    settings: dict[str, StrictStr]
    files: dict[str, StrictStr]

    def overrides(self, place: Path) -> str:
        """What `evenhand eval` is given to read the files in `place`."""
        return " ".join(f"{setting}={place / value}" for setting, value in self.settings.items())


def published() -> dict[str, Benchmark]:
    """All benchmarks by name."""
    table = load_yaml(Path(str(resources.files("distill").joinpath(TABLE))))
    return {name: validate(Benchmark, row) for name, row in table.items()}


def main(arguments: Sequence[str] | None = None, prog: str = "python -m distill.benchmark_downloads") -> None:
    """List or fetch. Raises ValueError or OSError with one message for what cannot be fetched."""
    options = parser(prog).parse_args(arguments)
    benchmarks = published()
    if options.action == "list":
        for name, benchmark in benchmarks.items():
            print(f"{name:<16}{benchmark.title}. Licence: {benchmark.licence}")
        return
    unknown = [name for name in options.names if name not in benchmarks]
    if unknown:
        near = difflib.get_close_matches(unknown[0], benchmarks, n=1)
        meant = f"did you mean {near[0]}?" if near else f"there are {', '.join(benchmarks)}"
        raise ValueError(f"no benchmark is called {unknown[0]!r}; {meant}")
    for name in options.names:
        get(name, benchmarks[name], options.to / name)


def get(name: str, benchmark: Benchmark, place: Path) -> None:
    """Bring all files of a benchmark into the folder `place`, each whole and checked, and say what reads them.

    Raises ValueError for a file that is there with another content, which is left as it is, and for a content that is
    not the published one, which is not written. Raises OSError if a file cannot be fetched or written.
    """
    print(f"{name}: {benchmark.title}, {benchmark.home}\nlicence: {benchmark.licence}", flush=True)
    files = {remote: place / PurePosixPath(remote).name for remote in benchmark.files}
    there = [remote for remote, file in files.items() if file.exists()]
    for remote in there:
        found = checksum(files[remote].read_bytes(), benchmark.files[remote])
        if found != benchmark.files[remote]:
            raise ValueError(
                f"{files[remote]} is not the published file: its checksum is {found}, that of the published one is "
                f"{benchmark.files[remote]}; move it away, or give another folder with --to"
            )
        print(f"  {files[remote]} is there already and has the published checksum")
    remedy = (
        f"see {benchmark.home}; the same command goes on where it stopped, and checks a file that you put into {place} "
        "yourself"
    )
    for remote, content in contents(benchmark.url, [remote for remote in files if remote not in there], remedy):
        found = checksum(content, benchmark.files[remote])
        if found != benchmark.files[remote]:
            raise ValueError(
                f"{remote} from {benchmark.url} has the checksum {found}, not the published "
                f"{benchmark.files[remote]}, so it is not kept; {remedy}"
            )
        with writing("the files", place, "--to"):
            place.mkdir(parents=True, exist_ok=True)
            with written_aside(files[remote]) as file:
                file.write(content)
        print(f"  {files[remote]} has the published checksum", flush=True)
    print(f"use: evenhand eval MODEL {benchmark.overrides(place)}")


def contents(url: str, names: Iterable[str], remedy: str) -> Iterator[tuple[str, bytes]]:
    """Each name with the content of that file, out of one .zip file or from a URL of its own. Raises as `download`."""
    if not url.endswith(".zip"):
        yield from ((name, download(url + name, remedy)) for name in names)
        return
    archive = None
    for name in names:
        try:
            archive = archive or zipfile.ZipFile(io.BytesIO(download(url, remedy)))
            yield name, archive.read(name)
        except (zipfile.BadZipFile, KeyError) as error:
            raise OSError(f"{url} does not hold {name} ({error}); {remedy}") from error


def download(url: str, remedy: str) -> bytes:
    """The content of a URL. Raises OSError, with the reason and the remedy, if it does not arrive whole."""
    request = urllib.request.Request(url, headers={"User-Agent": f"evenhand/{distill.__version__}"})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
            content: bytes = response.read()
    except HTTPError as error:
        raise OSError(f"{url} could not be fetched: the server says {error.code} {error.reason}; {remedy}") from error
    except (OSError, HTTPException) as error:
        reason = error.reason if isinstance(error, URLError) else error
        raise OSError(f"{url} could not be fetched ({reason}); is there a network? {remedy}") from error
    return content


def checksum(content: bytes, kind: str) -> str:
    """The SHA-256 of a content, or, if `kind` begins so, `git:` and the name (SHA-1) that git gives the content."""
    if kind.startswith(GIT):
        return GIT + hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    return hashlib.sha256(content).hexdigest()


def parser(prog: str) -> argparse.ArgumentParser:
    """The command line."""
    words = argparse.ArgumentParser(prog=prog, description=(__doc__ or "").partition("\n\n")[2])
    actions = words.add_subparsers(dest="action", required=True)
    actions.add_parser("list", help="print the names, titles and licences")
    get_words = actions.add_parser("get", help="fetch the files of benchmarks")
    get_words.add_argument("names", nargs="+", metavar="NAME", help="of a benchmark: see the list")
    get_words.add_argument(
        "--to", type=Path, default=Path("data"), metavar="FOLDER", help="gets a folder for each NAME (%(default)s)"
    )
    return words


if __name__ == "__main__":
    sys.exit(exit_code(main))
