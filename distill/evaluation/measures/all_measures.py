"""The list of all measures, in the order of the report, and the tasks that a configuration asks for."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from distill.config import DataConfig
from distill.data.corpus import SettingNames, read_documents
from distill.evaluation.config import EvalConfig, TextConfig
from distill.evaluation.measure import Description, Inputs, Measure
from distill.evaluation.measures import (
    agreement,
    counterfactual_gap,
    log_odds,
    name_agreement,
    perplexity,
    they,
)
from distill.evaluation.measures.classifiers import (
    cola,
    davidson,
    hatecheck,
    hatexplain,
    occupation_gap,
    prediction_sensitivity,
    sst2,
)
from distill.evaluation.measures.continuations import (
    bold,
    bold_persons,
    diversity,
    fluency,
    longform,
    regard,
    sentiment,
    toxicity,
    word_vector_polarity,
)
from distill.evaluation.measures.published import (
    association,
    bbq,
    ceat,
    crows_pairs,
    gap,
    gest,
    holistic_bias,
    lambada,
    redditbias,
    stereoset,
    tango,
    wikitext,
    winobias,
    winogender,
)
from distill.evaluation.processes import message_of
from distill.evaluation.task import Failure, Task
from distill.settings import validate

# A measure stands after those whose tasks it needs.
MEASURES: dict[str, Measure] = {
    module.MEASURE.name: module.MEASURE
    for module in (
        log_odds,
        they,
        agreement,
        name_agreement,
        counterfactual_gap,
        perplexity,
        wikitext,
        stereoset,
        crows_pairs,
        winobias,
        tango,
        redditbias,
        occupation_gap,
        sst2,
        cola,
        davidson,
        hatecheck,
        hatexplain,
        prediction_sensitivity,
        association,
        winogender,
        gest,
        ceat,
        holistic_bias,
        bbq,
        lambada,
        gap,
        longform,
        bold,
        word_vector_polarity,
        bold_persons,
        sentiment,
        regard,
        toxicity,
        fluency,
        diversity,
    )
}
DESCRIPTIONS: dict[str, Description] = {
    name: description for measure in MEASURES.values() for name, description in measure.descriptions.items()
}


def plan_tasks(config: EvalConfig) -> tuple[list[Task], list[Failure]]:
    """The tasks of all measures that the configuration switches on.

    A measure whose data cannot be read becomes a failure with its reason, and the others are not affected.
    """
    failures: list[Failure] = []
    documents: Sequence[str] | None = None
    if config.text.path is not None and text_measures(config):
        try:
            documents = _documents(config.text)
        except Exception as error:
            failures.append(Failure(None, "text", message_of(error)))
    tasks: dict[str, Task] = {}
    for measure in MEASURES.values():
        try:
            task = measure.task(Inputs(config, documents, tasks))
        except Exception as error:  # of any type: the others can still be measured
            failures.append(Failure(None, measure.name, message_of(error)))
            continue
        if task is not None:
            tasks[task.name] = task
    return list(tasks.values()), failures


def text_measures(config: EvalConfig) -> set[str]:
    """The names of the measures that read the documents of `text` under this configuration."""
    return {measure.name for measure in MEASURES.values() if measure.reads_text(config)}


def _documents(text: TextConfig) -> list[str]:
    settings = {"path": text.path, "text_field": text.text_field, "txt_document": text.txt_document}
    names = SettingNames(path="text.path", split=None, text_field="text.text_field")
    return list(islice(read_documents(validate(DataConfig, settings), names=names), text.max_documents))
