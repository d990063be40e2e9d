"""A block of a datatrove pipeline that swaps documents, on one machine, on Slurm or on Ray.

It needs `pip install datatrove`, which brings the executors. Example: 64 tasks on 8 processes, which can resume:

    LocalPipelineExecutor(
        [JsonlReader("in/"), SwapGender(min_confidence=0.8), JsonlWriter("out/")], tasks=64, workers=8
    ).run()
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from datatrove.pipeline.base import PipelineStep  # type: ignore[import-not-found]

from augment.lexicon import load_lexicon
from augment.swap import swap


class SwapGender(PipelineStep):
    """Replace every document's text by its counterfactual.

    `tiers`, `path` and `extend` choose the lexicon as in `load_lexicon`. Documents whose least certain edit is below
    `min_confidence` are left out and counted as `unsure`. With `keep_original` the document's metadata keeps the text
    before the swap under `original`.
    """

    name = "Gender swap"
    type = "Augment"

    def __init__(
        self,
        tiers: Sequence[str] | None = None,
        path: str | Path | None = None,
        extend: bool = True,
        min_confidence: float = 0.0,
        keep_original: bool = False,
    ) -> None:
        super().__init__()
        load_lexicon(tiers, path, extend)  # a wrong tier or file is reported before any task starts
        self.lexicon_arguments = (tiers, path, extend)
        self.min_confidence = min_confidence
        self.keep_original = keep_original

    def run(self, data: Iterable[Any], rank: int = 0, world_size: int = 1) -> Iterator[Any]:
        """Swap documents one by one; `rank` and `world_size` are datatrove's and do not change the result."""
        lexicon = load_lexicon(*self.lexicon_arguments)
        for document in data or ():
            with self.track_time():
                pair = swap(document.text, lexicon)
                if pair.confidence < self.min_confidence:
                    self.stat_update("unsure")
                    continue
                self.stat_update("changed" if pair.edits else "unchanged")
                if self.keep_original:
                    document.metadata["original"] = document.text
                document.text = pair.counterfactual
            yield document
