"""Count how gendered a corpus is, before and after augmentation, with confidence intervals.

The gendered words are those that `swap` edits, and those that it leaves alone though they are no name and no code: a
man called out, you guys, God's he. `substituted` is the counterfactual of the corpus, `augmented` both together. A word
that stays counts for its own gender in both. Hence the feminine share of `augmented` is one half only where no word
stays, and tells how far from one half the rules leave a corpus.
"""

import json
import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

from augment.files.safe import write_text
from augment.lexicon import Lexicon, load_lexicon
from augment.rules.scan import Candidate, scanner
from augment.rules.tables import word_set
from augment.swap import CounterfactualPair, Edit, KeptTerm, kept_terms, swap

# The audit counts the gendered words near these occupations, which men and women have, in singular and plural.
OCCUPATIONS = word_set(
    """accountant architect artist assistant baker carpenter cashier chef clerk cook dancer dentist designer
    director doctor driver economist editor engineer farmer guard hairdresser janitor judge lawyer librarian
    manager mechanic musician nurse painter pilot plumber professor programmer scientist secretary singer
    soldier surgeon teacher therapist writer"""
)
_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?")
# How the reasons to leave a word alone begin that say that it is no gendered word there.
_NO_GENDERED_WORD = (
    *("code", "name", "given name", "surname", "acronym", "verb", "no title", "neutral form", "part of a longer"),
)
_NUM_SHOWN_TERMS = 60  # of the most frequent ones, in the page
_NEAR = 120  # characters: a gendered word this close to an occupation counts as near it


@dataclass
class Audit:
    """Counts over a corpus.

    num_masculine, num_feminine: words that are swapped. num_kept: the masculine and feminine words that stay.
    terms: how often each of them occurs. genders: its gender, m or f. occupations: the numbers of masculine and
    feminine words near each occupation. substituted_occupations: the same in the counterfactual texts.
    """

    num_texts: int = 0
    num_words: int = 0
    num_masculine: int = 0
    num_feminine: int = 0
    num_kept: list[int] = field(default_factory=lambda: [0, 0])
    terms: Counter[str] = field(default_factory=Counter)
    genders: dict[str, str] = field(default_factory=dict)
    occupations: dict[str, list[int]] = field(default_factory=dict)
    substituted_occupations: dict[str, list[int]] = field(default_factory=dict)


def audit(texts: Iterable[str], lexicon: Lexicon | None = None) -> Audit:
    """Count the gendered words of some texts, and those near occupations."""
    result = Audit()
    lexicon = lexicon if lexicon is not None else load_lexicon()
    table = scanner(lexicon).table
    for text in texts:
        pair = swap(text, lexicon)
        result.num_texts += 1
        result.num_words += len(text.split())
        words = [(e.start, e.source, e.rule[0]) for e in _gendered(pair)]
        stay = [
            (k.start, k.source, table[k.source].term.gender) for k in kept_terms(text, lexicon) if _counts(k, table)
        ]
        for _, source, gender in words + stay:
            result.terms[source.lower()] += 1
            result.genders[source.lower()] = gender
        for _, _, gender in stay:
            result.num_kept[gender == "f"] += 1
        result.num_masculine += pair.num_masculine_to_feminine
        result.num_feminine += pair.num_feminine_to_masculine
        if words or stay:
            marks = [(start, gender) for start, _, gender in stay]
            _count_occupations(pair, marks, result.occupations)
            _count_occupations(pair.reverse(), _moved(marks, pair.edits), result.substituted_occupations)
    return result


def _gendered(pair: CounterfactualPair) -> list[Edit]:
    return [e for e in pair.edits if e.rule != "article"]


def _counts(term: KeptTerm, table: Mapping[str, Candidate]) -> bool:
    """Whether a word that stays is a gendered word of the lexicon, rather than a name or code."""
    return term.source in table and not term.reason.startswith(_NO_GENDERED_WORD)


def _moved(marks: list[tuple[int, str]], edits: Sequence[Edit]) -> list[tuple[int, str]]:
    """Where the marks of words that stay are in the counterfactual."""
    ends = [e.end for e in edits]
    shifts = [0, *accumulate(len(e.target) - len(e.source) for e in edits)]
    return [(p + shifts[bisect_right(ends, p)], gender) for p, gender in marks]


def _count_occupations(pair: CounterfactualPair, kept: list[tuple[int, str]], counts: dict[str, list[int]]) -> None:
    marks = sorted([(e.start, e.rule[0]) for e in _gendered(pair)] + kept)
    places = [place for place, _ in marks]
    for match in _WORD.finditer(pair.original.lower()):
        word = match.group()
        word = word if word in OCCUPATIONS else word[:-1]
        if word not in OCCUPATIONS:
            continue
        row = counts.setdefault(word, [0, 0])
        near = slice(bisect_left(places, match.start() - _NEAR), bisect_right(places, match.start() + _NEAR))
        for _, gender in marks[near]:
            row[gender == "f"] += 1


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """95 % Wilson score interval of a proportion (Wilson 1927); (0, 1) without trials."""
    from scipy.stats import binomtest  # takes a second to import, which no other command needs

    if trials == 0:
        return 0.0, 1.0
    low, high = binomtest(successes, trials).proportion_ci(method="wilson")
    return float(low), float(high)


def summary(result: Audit) -> dict[str, Any]:
    """The figures of audit.json: gendered words per 1,000 words and feminine shares, overall and by occupation."""

    def view(masculine: int, feminine: int, words: int) -> dict[str, Any]:
        return {
            "masculine_per_1000_words": 1000 * masculine / max(words, 1),
            "feminine_per_1000_words": 1000 * feminine / max(words, 1),
            "feminine_share": feminine / max(masculine + feminine, 1),
            "feminine_share_interval": wilson_interval(feminine, masculine + feminine),
        }

    words, m, f = result.num_words, result.num_masculine, result.num_feminine
    kept_m, kept_f = result.num_kept
    return {
        "num_texts": result.num_texts,
        "num_words": words,
        "num_kept": {"masculine": kept_m, "feminine": kept_f},
        "original": view(m + kept_m, f + kept_f, words),
        "substituted": view(f + kept_m, m + kept_f, words),
        "augmented": view(m + f + 2 * kept_m, m + f + 2 * kept_f, 2 * words),
        "terms": [
            {"term": t, "gender": result.genders[t], "count": c, "per_1000_words": 1000 * c / max(words, 1)}
            for t, c in result.terms.most_common()
        ],
        "occupations": _occupation_views(result),
    }


def _occupation_views(result: Audit) -> dict[str, dict[str, Any]]:
    """The counts and the feminine share, with its interval, near each occupation: original, substituted, augmented.

    The interval of `augmented` treats a text and its counterfactual as independent.
    """
    views = {}
    for name, (m, f) in sorted(result.occupations.items()):
        other_m, other_f = result.substituted_occupations.get(name, [0, 0])
        views[name] = {
            "original": _counted(m, f),
            "substituted": _counted(other_m, other_f),
            "augmented": _counted(m + other_m, f + other_f),
        }
    return views


def _counted(masculine: int, feminine: int) -> dict[str, Any]:
    return {
        "masculine": masculine,
        "feminine": feminine,
        "feminine_share": feminine / max(masculine + feminine, 1),
        "feminine_share_interval": wilson_interval(feminine, masculine + feminine),
    }


def audit_table(result: Audit) -> str:
    """The summary as text for a terminal."""
    figures = summary(result)
    lines = [f"{figures['num_texts']:,} texts, {figures['num_words']:,} words"]
    for name in ("original", "substituted", "augmented"):
        view = figures[name]
        low, high = view["feminine_share_interval"]
        lines.append(
            f"{name:<12} per 1,000 words: masculine {view['masculine_per_1000_words']:.2f}, "
            f"feminine {view['feminine_per_1000_words']:.2f}; feminine share {view['feminine_share']:.3f} "
            f"[{low:.3f}, {high:.3f}]"
        )
    lines.append(f"left as they are: {result.num_kept[0]:,} masculine and {result.num_kept[1]:,} feminine words")
    for name, views in sorted(figures["occupations"].items(), key=lambda item: -sum(result.occupations[item[0]]))[:8]:
        low, high = views["original"]["feminine_share_interval"]
        lines.append(
            f"near {name:<12} feminine share {views['original']['feminine_share']:.3f} [{low:.3f}, {high:.3f}], "
            f"augmented {views['augmented']['feminine_share']:.3f}"
        )
    lines.append("most frequent: " + ", ".join(f"{t['term']} {t['count']:,}" for t in figures["terms"][:12]))
    return "\n".join(lines)


def write_audit(result: Audit, folder: Path, title: str) -> None:
    """Write audit.json and a self-contained audit.html with bars into `folder`, each under a temporary name first."""
    figures = summary(result)
    folder.mkdir(parents=True, exist_ok=True)
    files = {"audit.json": json.dumps(figures, indent=1, ensure_ascii=False), "audit.html": _page(figures, title)}
    for name, content in files.items():
        write_text(folder / name, content)


def _page(figures: dict[str, Any], title: str) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined  # only this command needs it

    environment = Environment(
        loader=PackageLoader("augment", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    page = environment.get_template("audit.html")
    return page.render(figures=figures, title=title, reach=_NEAR, num_terms=_NUM_SHOWN_TERMS)
