"""Look at the files of a model before it is loaded: what transformers would misread or misname is refused here."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import hf_hub_download, try_to_load_from_cache

from augment.files.lfs import check_is_no_pointer
from distill.hub import HubName

# A folder with a tokenizer holds one of these files. From a folder without them transformers makes an empty tokenizer.
VOCABULARIES = (
    "tokenizer.json",
    "tokenizer.model",
    "vocab.json",
    "vocab.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tekken.json",
)
SETTINGS = ("config.json", "tokenizer_config.json")
ADAPTER = "adapter_config.json"
# What transformers asks a repository of the hub for, to make a tokenizer. It lists the repository's files besides.
TOKENIZER_FILES = (
    *SETTINGS[1:],
    "tokenizer.json",
    "added_tokens.json",
    "special_tokens_map.json",
    "chat_template.jinja",
)


def check_files(path: str, kind: str, gguf_file: str | None = None, hub: HubName | None = None) -> None:
    """Check what lies at a local path or hub name before it is loaded. kind: `tokenizer`, `model` or `configuration`.

    hub: the repository and revision, if the path names one. Raises ValueError for an adapter beside a model
    (transformers ignores it, or changes the model by it, depending on what is installed) and for a Git LFS pointer;
    FileNotFoundError for a file, and for a folder that holds no model but stands above one.
    """
    place = Path(path)
    if place.is_file():
        where = f"give its folder, {place.parent}"
        gguf = f"; for the model in it set teacher.path={place.parent} and teacher.gguf_file={place.name}"
        raise FileNotFoundError(
            f"{path} is a file, but a {kind} is read from a folder; {where}{gguf * (place.suffix == '.gguf')}"
        )
    if place.is_dir() and gguf_file is None and not any((place / name).exists() for name in (*SETTINGS, *VOCABULARIES)):
        raise FileNotFoundError(f"{path} is not the folder of a {kind}: it has no config.json{_model_nearby(place)}")
    if kind == "tokenizer":
        names = ("tokenizer.json",) if (place / "tokenizer.json").exists() else (*VOCABULARIES, "merges.txt")
        for name in names:  # transformers reads lists of words out of a pointer without complaint
            check_is_no_pointer(place / name)
    elif (place / ADAPTER).exists() if hub is None else _has_adapter(hub):
        raise ValueError(
            f"{path} holds an adapter ({ADAPTER}), which would not be part of the model; merge it first (peft: "
            f"merge_and_unload, then save_pretrained into another folder), or remove it to have the base model"
        )


def check_pointers(folder: Path, gguf_file: str | None = None) -> None:
    """Raise ValueError if one of the files that could not be loaded from a folder is a Git LFS pointer."""
    weights = gguf_file or ("*.safetensors" if any(folder.glob("*.safetensors")) else "*.bin")
    for file in sorted((*folder.glob(weights), *folder.glob("*.json"), *folder.glob("*.model"))):
        check_is_no_pointer(file)


def is_known_tokenizer(hub: HubName) -> bool:
    """Whether the cache has the files of a tokenizer at this commit, or knows of each that there is none."""
    return all(try_to_load_from_cache(hub.name, file, revision=hub.revision) is not None for file in TOKENIZER_FILES)


def _has_adapter(hub: HubName) -> bool:
    known = try_to_load_from_cache(hub.name, ADAPTER, revision=hub.revision)
    if known is not None:  # its path, or a sign that there is none
        return isinstance(known, str)
    try:
        return bool(hf_hub_download(hub.name, ADAPTER, revision=hub.revision))
    except Exception:  # there is none, or the load that follows fails for the same reason, and says it better
        return False


def _model_nearby(place: Path) -> str:
    """The remedy, if a folder without a model belongs to a run or has models below it."""
    run = place.parent.parent
    if place.parent.name == "checkpoints" and (run / "config.yaml").is_file():
        return f"; make a model of this checkpoint: evenhand checkpoint {run} {place.name} --out FOLDER"
    if gguf_files := sorted(place.glob("*.gguf")):
        return f"; for the model in {gguf_files[0].name} set teacher.gguf_file={gguf_files[0].name}"
    below = sorted((*place.glob("*/config.json"), *place.glob("*/*/config.json")))
    if below:
        return f"; give {below[0].parent}"
    if (place / "checkpoints").is_dir() and (place / "config.yaml").is_file():
        return f"; the run has no student yet, but a checkpoint has: evenhand checkpoint {place} best --out FOLDER"
    return "; give the folder of a transformers model"
