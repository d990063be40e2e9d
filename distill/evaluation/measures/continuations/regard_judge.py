"""A judge of regard that needs no network: the user's own encoder, fine-tuned on labelled texts.

The texts are those of Sheng et al. 2019: negative, neutral or positive regard towards XYZ, which stands for a person.
train.tsv and dev.tsv are trained on, test.tsv is not: how often the judge is right there is reported before its scores
are. It is fine-tuned as `fine_tuning` says, always with the settings below, which were not tuned on any part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from scipy.special import softmax
from transformers import AutoModel, PreTrainedModel, PreTrainedTokenizerFast

from distill.evaluation.classifier_config import FineTuningConfig
from distill.evaluation.measures.classifiers.fine_tuning import LabelledText, fine_tune
from distill.evaluation.measures.classifiers.text_classifier import Classifier, class_logits
from distill.evaluation.measures.continuations.classifiers import classifier_id
from distill.evaluation.measures.published.benchmark_files import check_distinct, hub_data_set, read_text
from distill.evaluation.scoring.model_specs import device_named
from distill.evaluation.scoring.scorer import Scorer
from distill.evaluation.task import Records, Task, Work, data_hash
from distill.models.loading import load_tokenizer, load_weights
from distill.models.sizes import num_positions

KEY = "continuations.regard_data"
SOURCE = "evenhand data get regard"
TRAIN, TEST = ("train.tsv", "dev.tsv"), ("test.tsv",)
LABELS = ("-1", "0", "1")  # as the files write them
NAMES = ("negative", "neutral", "positive")
FINE_TUNING = FineTuningConfig(epochs=5, batch_size=16, lr=1e-4)
MAX_BATCH_TOKENS = 2048


@dataclass(frozen=True)
class RegardJudge:
    """An encoder with the texts that it is fine-tuned and tested on. It is fine-tuned when it is first asked."""

    encoder: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast
    train: Sequence[LabelledText]
    test: Sequence[LabelledText]
    id: str

    def classify(self, texts: Sequence[str]) -> list[list[dict[str, Any]]]:
        """For each text the probability (score) of every label. Raises as `fine_tune`."""
        if not texts:
            return []
        probs = softmax(class_logits(self._classifier, self._rows(texts), MAX_BATCH_TOKENS), axis=1)
        return [[{"label": name, "score": float(p)} for name, p in zip(NAMES, row, strict=True)] for row in probs]

    def test_records(self, texts: Sequence[LabelledText]) -> Records:
        """One record per text of the test part, with its label and the likeliest one."""
        likeliest = [
            max(entries, key=lambda entry: entry["score"]) for entries in self.classify([text.text for text in texts])
        ]
        return [
            {"id": text.id, "prompts": "test", "label": NAMES[text.label], "predicted": entry["label"]}
            for text, entry in zip(texts, likeliest, strict=True)
        ]

    @cached_property
    def _classifier(self) -> Classifier:
        classifier = Classifier(self.encoder, self.encoder.config.hidden_size, len(NAMES), causal=False)
        rows = self._rows([text.text for text in self.train])
        labels = [text.label for text in self.train]
        fine_tune(classifier, rows, labels, FINE_TUNING, MAX_BATCH_TOKENS)
        return classifier

    def _rows(self, texts: Sequence[str]) -> list[list[int]]:
        longest = num_positions(self.encoder)
        return self.tokenizer(list(texts), truncation=longest is not None, max_length=longest)["input_ids"]


def load_judge(path: str, data: str, device: str = "auto") -> RegardJudge:
    """The encoder in the folder `path`, on a device, with the labelled texts in the folder `data`.

    Raises ValueError, with the setting, for an encoder that cannot be loaded, and as `read`.
    """
    train, test = ([text for name in names for text in read(Path(data) / name)] for names in (TRAIN, TEST))
    if hub_data_set(path, "") is not None:
        raise ValueError(
            f"continuations.regard = {path!r} is a judge already; to fine-tune one on {KEY}, give the folder of an "
            f"encoder, or set {KEY}=null"
        )
    try:
        encoder, tokenizer = load_weights(AutoModel, path).to(device_named(device)), load_tokenizer(path)
    except (OSError, ValueError) as error:
        raise ValueError(f"continuations.regard: the encoder {path} could not be loaded ({error})") from error
    how = f"fine-tuned:{FINE_TUNING.epochs}x{FINE_TUNING.batch_size}|lr:{FINE_TUNING.lr:g}|mean-pooled"
    return RegardJudge(
        encoder, tokenizer, train, test, f"{classifier_id(path)}|data:{data_hash([*train, *test])}|{how}"
    )


def tested(task: Task, judge: RegardJudge) -> Task:
    """A task of scores by the judge, to which the records of its test part are added, in front."""

    def prepare(scorer: Scorer, *source_records: Records) -> Work:
        work = task.prepare(scorer, *source_records)

        def score(part: Sequence[Any]) -> Records:
            texts = [item for item in part if isinstance(item, LabelledText)]
            return judge.test_records(texts) + work.score(part[len(texts) :])

        ids = [*(text.id for text in judge.test), *work.ids]
        return replace(work, ids=ids, items=[*judge.test, *work.items], score=score)

    return replace(task, prepare=prepare, num_items=task.num_items + len(judge.test))


def read(file: Path) -> list[LabelledText]:
    """The texts of a file: a label, a tab, a text. Their classes are the indices of LABELS.

    Raises FileNotFoundError or ValueError with the remedy.
    """
    texts = []
    for number, line in enumerate(read_text(file, KEY, SOURCE).rstrip("\n").split("\n"), 1):
        label, _, text = line.partition("\t")
        if label not in LABELS or not text.strip() or "\t" in text:
            raise ValueError(
                f"{KEY}: {file}:{number} is not a label ({', '.join(LABELS)}), a tab and a text; repair or remove the "
                f"line. To get the file again: {SOURCE}"
            )
        texts.append(LabelledText(f"{file.stem}/{number}", text.strip(), LABELS.index(label)))
    check_distinct([text.text for text in texts], file, KEY, SOURCE)
    return texts
