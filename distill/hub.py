"""The Hugging Face hub: names with a revision, the commits that they stand for, and what went wrong.

Models, tokenizers and data sets are named `owner/name`, or `owner/name@revision`; a revision is a branch, a tag or a
commit. HF_ENDPOINT, HF_HOME, HF_TOKEN and HF_HUB_OFFLINE are huggingface_hub's.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from huggingface_hub import constants, get_token, hf_hub_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.file_download import repo_folder_name
from huggingface_hub.utils import validate_repo_id

from augment.command_line import in_one_line

COMMIT = re.compile(r"[0-9a-f]{40}")
CARD = ("README.md",)  # the file by which `datasets` asks for a revision
LOG_IN = "run `hf auth login` or set HF_TOKEN"
_MAY_PASS = (408, 429, 500, 502, 503, 504)  # answers after which huggingface_hub itself tries again
_UNWRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR)


class HubName(NamedTuple):
    """A repository of the hub, and the revision that is asked for, if any."""

    name: str
    revision: str | None = None

    def __str__(self) -> str:
        return self.name if self.revision is None else f"{self.name}@{self.revision}"

    @classmethod
    def parse(cls, text: str) -> HubName:
        """From `owner/name` or `owner/name@revision`. Raises ValueError if nothing is behind the @."""
        name, at, revision = text.partition("@")
        if at and not revision:
            raise ValueError(f"{text} names no revision; give a branch, tag or commit after @, or leave @ out")
        return cls(name, revision or None)


def hub_name(path: str) -> HubName | None:
    """What a path names on the hub; None if it exists here, or can only be a mistyped path, as runs/typo beside others.

    Raises ValueError if nothing is behind the @.
    """
    name, _, _ = path.partition("@")
    if Path(path).expanduser().exists() or path.startswith((".", "/", "~")) or name.count("/") > 1:
        return None
    if "/" in path and Path(path).parent.is_dir():
        return None
    return HubName.parse(path)


def snapshot(hub: HubName, files: Sequence[str], kind: str = "model", what: str = "") -> Path | None:
    """The folder in the cache of the commit that a name stands for now; the folder is named by the commit.

    files: such as every repository of this kind has one of; the first that is there is fetched. kind: `model` or
    `dataset`. what: how an error begins. Asks the hub, unless the name has a commit that is in the cache. If the hub
    cannot be asked, this is the commit of the last time, or None if there was none and the hub is offline. Raises
    FileNotFoundError or ConnectionError.
    """
    what = what or f"cannot read {hub} from the hub"
    try:
        return _snapshot(hub, files, kind)
    except Exception as error:  # huggingface_hub lets through what its HTTP client raises
        raise failure(what, error, hub) from error


def _snapshot(hub: HubName, files: Sequence[str], kind: str) -> Path | None:
    folder = Path(constants.HF_HUB_CACHE, repo_folder_name(repo_id=hub.name, repo_type=kind))
    commits = folder / "snapshots"
    if hub.revision and COMMIT.fullmatch(hub.revision) and (commits / hub.revision).is_dir():
        return commits / hub.revision
    commit = None
    for file in files:
        try:
            found = Path(hf_hub_download(hub.name, file, repo_type=kind, revision=hub.revision))
        except LocalEntryNotFoundError:
            last = folder / "refs" / (hub.revision or constants.DEFAULT_REVISION)
            if last.is_file():
                return commits / last.read_text(encoding="utf-8").strip()
            if is_offline():
                return None
            raise
        except RemoteEntryNotFoundError as error:
            commit = error.response.headers.get(constants.HUGGINGFACE_HEADER_X_REPO_COMMIT)
        else:
            return found.parents[len(Path(file).parts) - 1]
    return None if commit is None else commits / commit


def pinned(path: str, files: Sequence[str], kind: str = "model") -> str:
    """`name@commit` for a hub name, as of now; any other path as it is. files, kind: as in `snapshot`."""
    hub = hub_name(path)
    if hub is None or (hub.revision and COMMIT.fullmatch(hub.revision)):
        return path
    found = snapshot(hub, files, kind)
    return path if found is None or not COMMIT.fullmatch(found.name) else f"{hub.name}@{found.name}"


def is_commit_of(pinned: object, name: object) -> bool:
    """Whether the first is `name@commit` for the name of a repository without a revision."""
    if not isinstance(pinned, str) or not isinstance(name, str) or hub_name(name) is None:
        return False
    before, _, commit = pinned.partition("@")
    return before == name and COMMIT.fullmatch(commit) is not None


def is_offline() -> bool:
    """Whether the hub may not be asked: HF_HUB_OFFLINE."""
    return bool(constants.HF_HUB_OFFLINE)


def check_upload(setting: str, repository: str | None) -> None:
    """Raise ValueError if nothing can be uploaded into a repository, as far as this is known without asking the hub."""
    if repository is None:
        return
    try:
        validate_repo_id(repository)
    except HFValidationError as error:
        raise ValueError(f"{setting} = {repository} cannot be the name of a repository; give owner/name") from error
    if is_offline():
        remedy = "unset it, or leave the setting out and upload the student later"
        raise ValueError(f"{setting} = {repository}, but HF_HUB_OFFLINE is set; {remedy}")
    if get_token() is None:
        raise ValueError(f"{setting} = {repository} needs a token; {LOG_IN}")


# -- what went wrong -------------------------------------------------------------------------------------------------


def failure(what: str, error: BaseException, hub: HubName) -> OSError:
    """The error to raise, in one line: what failed, why, and the remedy.

    A ConnectionError if the same command may work later; otherwise a FileNotFoundError.
    """
    may_pass = any(
        _is_transport_error(cause) or (isinstance(cause, HfHubHTTPError) and cause.response.status_code in _MAY_PASS)
        for cause in _chain(error)
    )
    return (ConnectionError if may_pass else FileNotFoundError)(f"{what}: {reason(error, hub)}")


def reason(error: BaseException, hub: HubName) -> str:
    """Why the hub did not serve a request, and the remedy, in one line. The cause may be wrapped in other errors."""
    for cause in _chain(error):
        if isinstance(cause, GatedRepoError):
            who = "this token has no access" if get_token() else "no token is set"
            folder = "datasets/" if "/datasets/" in str(cause.response.url) else ""
            return f"it is gated, and {who}; ask for access on {constants.ENDPOINT}/{folder}{hub.name}, then {LOG_IN}"
        if isinstance(cause, RepositoryNotFoundError):
            there = f"{constants.ENDPOINT} has no such repository, or it is private"
            return f"{there}; check the name, and if it is private, {LOG_IN}"
        if isinstance(cause, RevisionNotFoundError):
            revision = hub.revision or constants.DEFAULT_REVISION
            return f"it has no revision {revision}; give one of its branches, tags or commits after @"
        if isinstance(cause, HfHubHTTPError):
            return _answer(cause)
        if isinstance(cause, HFValidationError):
            return f"{hub.name} cannot be the name of a repository; give owner/name"
        if _is_transport_error(cause):
            said = in_one_line(cause) or type(cause).__name__
            return f"the connection to {constants.ENDPOINT} failed ({said}); give the same command again"
        if isinstance(cause, OSError) and cause.errno in _UNWRITABLE:
            remedy = "set HF_HOME, or HF_DATASETS_CACHE for data sets, to a folder that can be written"
            return f"the cache cannot be used ({in_one_line(cause)}); {remedy}"
    unreachable = any(isinstance(cause, OfflineModeIsEnabled | LocalEntryNotFoundError) for cause in _chain(error))
    if is_offline() and (unreachable or OfflineModeIsEnabled.__name__ in str(error)):
        where = f"HF_HUB_OFFLINE is set, and the cache in {constants.HF_HUB_CACHE} does not hold all of it"
        return f"{where}; unset it, or fetch it where there is a network (hf download {hub.name})"
    return in_one_line(error)


def _answer(error: HfHubHTTPError) -> str:
    """What an error of the hub says that is not about the repository, and the remedy."""
    status = error.response.status_code
    if status == 429:
        wait = re.search(r"Retry after \d+ seconds", str(error))
        when = wait[0].lower() if wait else "try again later"
        return f"the hub limits how often it is asked (429 Too Many Requests); {when}, or for a higher limit {LOG_IN}"
    if status in (401, 403):
        return f"the hub refuses access ({status}); {LOG_IN}, with a token that may do this"
    said = in_one_line(error.server_message or str(error))
    return f"the hub failed ({status}: {said}); give the same command again later"


def _is_transport_error(error: BaseException) -> bool:
    """Whether a connection could not be made, or broke. httpx has another name in other versions of huggingface_hub."""
    return any(base.__name__ == "TransportError" for base in type(error).__mro__)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it was raised from, or while handling."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        yield error
        seen.add(id(error))
        error = error.__cause__ or error.__context__
