"""The page, the table and the sentences of a privacy audit, for readers who have never seen one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from rich.markup import escape
from rich.table import Table

from distill.evaluation.report import plots
from distill.evaluation.report.cells import in_brackets, interval, number
from distill.templates import render

LOWEST_RATE = 1e-4  # where the logarithmic axes of the ROC plot end


def render_audit(content: dict[str, Any]) -> str:
    """The page for the content of privacy_audit.json; it loads nothing from elsewhere."""
    models = content["membership"]["models"]
    return render(
        "distill.privacy",
        "audit.html",
        content=content,
        style=style(),
        confidence=f"{100 * content['confidence']:g} %",
        sentences=all_sentences(content),
        titles=_titles(content),
        rows=list(_rows(content)),
        curves=[(model, roc_plot(model, results)) for model, results in models.items()],
        exposures=None if content["canaries"] is None else exposure_plot(content["canaries"]),
        canary_rows=list(_canary_rows(content["canaries"])),
    )


def style() -> str:
    """The style sheet that all pages share."""
    return render("distill.evaluation.report", "style.html")


def audit_table(content: dict[str, Any]) -> Table:
    """The results of every score, for a terminal."""
    table = Table(box=None, padding=(0, 1), header_style="bold")
    for title in ("model", *_titles(content)):
        table.add_column(title, overflow="fold")
    for model, name, cells in _rows(content):
        table.add_row(*map(escape, (model, name, *cells)))
    return table


def all_sentences(content: dict[str, Any]) -> list[str]:
    """What was found, in words: first whether the run keeps its promise, if it has made one."""
    found = [*promise_sentences(content["promise"]), *audit_sentences(content)]
    return [*found, *canary_sentences(content["canaries"])]


def promise_sentences(promise: dict[str, Any] | None) -> list[str]:
    """Whether a bound is above what is promised, in words; nothing without a promise."""
    if promise is None:
        return []
    bounds, noise = promise["bounds"], promise["noise"]
    promised = f"Epsilon {promise['epsilon']:.4g} at delta {promise['delta']:.2g} is promised"
    found = []
    if not bounds:
        found.append(f"{promised}, and nothing in this audit could have shown that it is broken.")
    else:
        name, bound = max(bounds.items(), key=lambda item: item[1]["at_least"] - item[1]["promised"])
        at_least = f"at least {bound['at_least']:.4g}, by {name}"
        if bound["promised"] != promise["epsilon"]:
            at_least += f", where this training promised {bound['promised']:.4g}"
        found.append(
            f"THE PROMISE IS BROKEN. {promised}, but epsilon is {at_least}."
            if promise["is_broken"]
            else f"No bound is above the promise. {promised}, and epsilon is {at_least}."
        )
    if noise is not None:
        at_most = "cannot be told" if noise["noise_at_most"] is None else f"is at most {noise['noise_at_most']:.4g}"
        found.append(
            f"The noise multiplier is stated as {noise['stated']:.4g}. White-box canaries measure "
            f"{noise['measured']:.4g}, and a clip of {noise['gap']:.3g} where 1 is right: noise per clip {at_most}."
        )
    return found


def audit_sentences(content: dict[str, Any]) -> list[str]:
    """What was found, in words: first whether the question can be asked at all."""
    part = content["membership"]
    groups = f"{part['num_members']:,} documents that the run has read and {part['num_others']:,} that it has not"
    blind = f"AUC {_triple(part['blind']['auc'])}"
    if part["blind"]["succeeds"]:
        return [
            f"Withheld: {groups} can be told apart by their words alone ({blind}), without any model. The groups "
            "differ in more than membership, so no score of a model would say what it remembers. Train with "
            "data.heldout_fraction on shuffled documents."
        ]
    found = [f"Among {groups}, words alone do not tell who is a member ({blind}), as it should be."]
    if part["blind"]["auc"]["high"] < 0.5:
        found[0] += " Below 0.5, texts look more like those of the other group: near duplicates stand on both sides."
    for model, results in part["models"].items():
        name, best = min(results.items(), key=lambda item: (item[1]["p"], -item[1]["auc"]["value"]))
        area = f"{name}, AUC {_triple(best['auc'])}"
        if len(results) * min(result["p"] for result in results.values()) < 1 - content["confidence"]:
            found.append(
                f"The {model} gives away members: in a pair of a member and another text, the strongest score ({area}) "
                f"picks the member in {100 * best['auc']['value']:.0f} of 100 pairs; 50 is guessing."
            )
        else:
            found.append(f"No score tells members of the {model}'s training text from others (strongest: {area}).")
    return found


def canary_sentences(canaries: dict[str, Any] | None) -> list[str]:
    """What was found of the canaries, in words; nothing without any."""
    if canaries is None or canaries["planted"] is None or canaries["null"] is None:
        return []
    planted, null, other = (canaries[name] for name in ("planted", "null", "other_form"))
    found = [
        f"A planted canary (read {canaries['repeats']} times) has an exposure of {_triple(planted)} bits; one that was "
        f"not planted has {_triple(null)}, where {canaries['expected_null']:.2f} is nothing and "
        f"{canaries['highest_exposure']:.1f} the model's first guess. "
        + ("The student tells of what it read." if planted["low"] > null["high"] else "The two do not clearly differ."),
        f"Asked about the other gender, a planted canary has {_triple(other)} bits"
        + (" (the run read both forms)." if canaries["both_forms_read"] else ", though the run never read that form."),
    ]
    for name, words in (("rank_1", "is the likeliest of all"), ("greedy", "is what the student writes")):
        share = canaries["extracted"][name]["planted"]
        found.append(f"The secret {words} for {share['num']} of {share['of']} planted canaries.")
    right, guesses = canaries["num_right"], canaries["num_guesses"]
    bound = f"{right} of {guesses} guesses about the coin are right: epsilon is at least"
    return [*found, f"{bound} {canaries['epsilon_at_least']:.2f} for a canary with all its copies."]


def exposure_plot(canaries: dict[str, Any]) -> str:
    """How many canaries have at least an exposure: planted, not planted, and what chance alone gives."""
    with matplotlib.rc_context(plots.STYLE):
        figure = Figure(figsize=(6.0, 4.0), layout="constrained")
        axes = figure.subplots()
        for index, (name, values) in enumerate(canaries["exposures"].items()):
            ordered = np.sort(values)
            colour, _ = plots.look(index)
            share = 1 - np.arange(len(ordered)) / max(1, len(ordered))
            axes.step(ordered, share, where="pre", color=colour, label=name, linewidth=1.2)
        bits = np.linspace(0, canaries["highest_exposure"], 100)
        axes.plot(bits, 2.0**-bits, color="#8a8a94", linestyle="--", linewidth=0.8, label="chance")
        axes.set(xlabel="exposure in bits", ylabel="proportion with at least so much", ylim=(0, 1.02))
        axes.legend(frameon=False, fontsize=8)
        return plots.to_svg(figure, "exposure of the canaries")


def roc_plot(model: str, results: dict[str, Any]) -> str:
    """The ROC curves of a model's scores on logarithmic axes, where the few certain cases can be seen."""
    with matplotlib.rc_context(plots.STYLE):
        figure = Figure(figsize=(6.0, 4.6), layout="constrained")
        axes = figure.subplots()
        for index, (name, result) in enumerate(results.items()):
            colour, _ = plots.look(index)
            line = "-" if index < len(plots.COLOURS) else ":"
            curve = result["curve"]
            axes.step(curve["fpr"], curve["tpr"], where="post", color=colour, linestyle=line, label=name, linewidth=1.2)
        axes.plot([LOWEST_RATE, 1], [LOWEST_RATE, 1], color="#8a8a94", linestyle="--", linewidth=0.8, label="guessing")
        smallest = 1 / min(result["num_others"] for result in results.values())
        axes.set(xscale="log", yscale="log", xlim=(max(LOWEST_RATE, smallest / 2), 1), ylim=(LOWEST_RATE, 1))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter("{x:g}")
        axes.set_xlabel("proportion of other texts that are taken for members")
        axes.set_ylabel("proportion of members found")
        axes.legend(frameon=False, fontsize=8)
        return plots.to_svg(figure, f"ROC curves of the {model}")


def _titles(content: dict[str, Any]) -> list[str]:
    """The titles of the columns: a true positive rate for each false positive rate that some score supports."""
    results = [result for scores in content["membership"]["models"].values() for result in scores.values()]
    fprs = sorted({float(fpr) for result in results for fpr in result["tpr_at_fpr"]}, reverse=True)
    return ["score", "AUC", *(f"found at {100 * fpr:g} % false" for fpr in fprs), "epsilon at least"]


def _rows(content: dict[str, Any]) -> Iterator[tuple[str, str, list[str]]]:
    """Model, score and cells."""
    fprs = [title.split()[2] for title in _titles(content)[2:-1]]
    for model, scores in content["membership"]["models"].items():
        for name, result in scores.items():
            rates = {f"{100 * float(fpr):g}": rate for fpr, rate in result["tpr_at_fpr"].items()}
            cells = [_triple(rates[fpr]) if fpr in rates else "–" for fpr in fprs]
            yield model, name, [_triple(result["auc"]), *cells, f"{result['epsilon_at_least']:.2f}"]


def _canary_rows(canaries: dict[str, Any] | None) -> Iterator[tuple[str, list[str]]]:
    """What is shown of the canaries, by the form that the run read: mean exposure of that form and of the other."""
    if canaries is None:
        return
    rows = [
        ("planted", canaries["planted"], canaries["other_form"]),
        ("not planted", canaries["null"], canaries["other_form_null"]),
        *((f"planted as {form}", by["own"], by["other"]) for form, by in canaries["by_form"].items()),
    ]
    for name, *means in rows:
        yield name, ["–" if mean is None else _triple(mean) for mean in means]


def _triple(value: dict[str, float]) -> str:
    """`value [low, high]`."""
    return f"{number(value['value'])} {in_brackets(interval(value['low'], value['high']))}"
