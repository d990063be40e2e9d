"""Load term pairs from tab-separated files into a validated `Lexicon`.

A row is `masculine<TAB>feminine<TAB>use<TAB>note`; the tier is the file's name. `use` is one of

- `pair`: both terms are swapped wherever they occur as a word, except in idioms and names;
- `context`: a rule decides by context whether a term is swapped, and with which counterpart;
- `feminine`: only the feminine term is swapped, because the masculine one is used of men and women (heir, host).

The first row of a term gives its default counterpart. Its other rows tell which terms a second swap need not bring back
(`Lexicon.many_to_one`).
"""

import hashlib
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from augment.files.lfs import check_is_no_pointer

TIERS = ("pronouns", "kinship", "titles", "persons", "occupations", "biology", "names")
DEFAULT_TIERS = ("pronouns", "kinship", "titles", "persons", "occupations")
USES = ("pair", "context", "feminine")
DATA_DIR = Path(__file__).parent / "lexicons"
RULES_DIR = DATA_DIR / "rules"
WEIGHTS_DIR = Path(__file__).parent / "weights"
# Raise this number whenever a swap can come out differently. It is part of every lexicon's fingerprint, and so of what
# identifies cached blocks, runs and evaluation records. tests/augment/test_rules_version.py says when.
RULES_VERSION = 3


@dataclass(frozen=True, slots=True)
class TermPair:
    """One masculine and one feminine term that are counterparts.

    Terms are lower-case unless inherently cased (Englishman). `use` is `pair`, `context` or `feminine`, see above;
    `note` says why a pair is not swapped everywhere.
    """

    masculine: str
    feminine: str
    tier: str
    use: str = "pair"
    note: str = ""


@dataclass(frozen=True, eq=False)
class Lexicon:
    """Validated term pairs.

    `rows` holds them in order; the first row of a term gives its default counterpart. Lexicons that swap alike have the
    same `fingerprint`. `==` compares identity, so that looking up a lexicon's tables costs nothing.
    """

    rows: tuple[TermPair, ...]
    tiers: tuple[str, ...] = DEFAULT_TIERS

    @cached_property
    def pairs(self) -> tuple[TermPair, ...]:
        """The pairs swapped both ways everywhere (`use == "pair"`), from which a vocabulary map may be built."""
        return tuple(p for p in self.rows if p.use == "pair")

    @cached_property
    def conditional(self) -> tuple[TermPair, ...]:
        """The other pairs (`context`, `feminine`): rules decide whether their terms are swapped."""
        return tuple(p for p in self.rows if p.use != "pair")

    def without(self, tier: str) -> "Lexicon":
        """The lexicon without the pairs of a tier."""
        kept = tuple(name for name in self.tiers if name != tier)
        return Lexicon(tuple(pair for pair in self.rows if pair.tier != tier), kept)

    @cached_property
    def fingerprint(self) -> str:
        """Hexadecimal SHA-256 of all that determines a swap: terms, tiers, rules version, rule data, model weights."""
        digest = hashlib.sha256()
        for pair in self.rows:
            digest.update("\t".join((pair.masculine, pair.feminine, pair.tier, pair.use)).encode() + b"\n")
        digest.update("\t".join(self.tiers).encode())
        digest.update(_rules_digest())
        return digest.hexdigest()

    @cached_property
    def many_to_one(self) -> frozenset[str]:
        """Terms that a second swap need not bring back.

        These are the terms with several counterparts, those counterparts, and the terms of conditional pairs.
        """
        seen: dict[str, set[str]] = {}
        for pair in self.rows:
            seen.setdefault(pair.masculine, set()).add(pair.feminine)
            seen.setdefault(pair.feminine, set()).add(pair.masculine)
        lossy = {t for pair in self.conditional for t in (pair.masculine, pair.feminine)}
        for term, partners in seen.items():
            if len(partners) > 1:
                lossy |= partners | {term}
        return frozenset(lossy)


def load_lexicon(tiers: Sequence[str] | None = None, path: str | Path | None = None, extend: bool = True) -> Lexicon:
    """Load the shipped tiers and, when `path` is given, a user's tab-separated file that extends or replaces them.

    A user's row wins over the shipped rows that hold one of its terms. Raises FileNotFoundError for a missing file and
    ValueError for an unknown tier or an invalid row; the message names the line.
    """
    names = DEFAULT_TIERS if tiers is None else tuple(dict.fromkeys(tiers))
    unknown = [name for name in names if name not in TIERS]
    if unknown:
        raise ValueError(f"unknown lexicon tier {unknown[0]!r}; choose from {', '.join(TIERS)}")
    if path is None:
        return _shipped(names)
    own = read_terms(Path(path), tier="user")
    problems = validate(own)
    if problems:
        raise ValueError(f"{path}: {problems[0]} ({len(problems)} problem(s) in all)")
    kept: list[TermPair] = []
    if extend:
        taken = {t.lower() for pair in own for t in (pair.masculine, pair.feminine)}
        shipped = _shipped(names)
        kept = [p for p in shipped.rows if not _touches(p, taken)]
    both_sides = validate([*own, *kept])
    if both_sides:
        raise ValueError(f"{path}: {both_sides[0]} ({len(both_sides)} problem(s) in all)")
    return Lexicon((*own, *kept), (*names, "user") if extend else ("user",))


@cache
def given_names() -> frozenset[str]:
    """The names of the `names` tier in lower case, by which rules know that a capitalised word is a person."""
    return frozenset(name.lower() for pair in _shipped(("names",)).rows for name in (pair.masculine, pair.feminine))


def read_terms(path: Path, tier: str) -> list[TermPair]:
    """Read one file of term pairs. Raises FileNotFoundError, or ValueError naming the line and the remedy."""
    if not path.is_file():
        raise FileNotFoundError(f"lexicon file {str(path)!r} does not exist; give a tab-separated file of term pairs")
    check_is_no_pointer(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 (byte {error.start}); save it as UTF-8") from None
    pairs: list[TermPair] = []
    for number, line in enumerate(text.split("\n"), start=1):  # not splitlines: a note may hold U+2028
        header = not pairs and line.startswith("masculine\tfeminine")
        if not line.strip() or line.startswith("#") or header:
            continue
        cells = [unicodedata.normalize("NFC", cell.strip()) for cell in line.split("\t")]
        if len(cells) < 2 or not cells[0] or not cells[1]:
            raise ValueError(
                f"{path}, line {number}: expected masculine<TAB>feminine[<TAB>use[<TAB>note]], got {line!r}"
            )
        use = cells[2] if len(cells) > 2 and cells[2] else "pair"
        if use not in USES:
            raise ValueError(f"{path}, line {number}: unknown use {use!r}; choose from {', '.join(USES)}")
        pairs.append(TermPair(cells[0], cells[1], tier, use, cells[3] if len(cells) > 3 else ""))
    return pairs


def validate(pairs: Iterable[TermPair]) -> list[str]:
    """List what is wrong with term pairs: duplicates, a term on both sides, equal terms, two spellings of a term."""
    problems = []
    rows: set[tuple[str, str]] = set()
    sides: tuple[dict[str, str], dict[str, str]] = ({}, {})
    for pair in pairs:
        key = (pair.masculine.lower(), pair.feminine.lower())
        if key[0] == key[1]:
            problems.append(f"{pair.masculine!r} is paired with itself; remove the row")
        if key in rows:
            problems.append(f"the pair {pair.masculine!r} / {pair.feminine!r} occurs twice; remove one row")
        rows.add(key)
        for side, term in enumerate((pair.masculine, pair.feminine)):
            spelled = sides[side].setdefault(term.lower(), term)
            if spelled != term:
                problems.append(f"{term!r} is also spelled {spelled!r}; write it one way")
    problems.extend(
        f"{sides[0][term]!r} is on the masculine and on the feminine side; keep it on one side"
        for term in sorted(sides[0].keys() & sides[1].keys())
    )
    return problems


def _touches(pair: TermPair, terms: set[str]) -> bool:
    return pair.masculine.lower() in terms or pair.feminine.lower() in terms


@cache
def _shipped(names: tuple[str, ...]) -> Lexicon:
    pairs = [pair for name in names for pair in read_terms(DATA_DIR / f"{name}.tsv", name)]
    problems = validate(pairs)
    if problems:
        raise ValueError(f"shipped lexicon: {problems[0]}")
    return Lexicon(tuple(pairs), names)


@cache
def _rules_digest() -> bytes:
    """SHA-256 of RULES_VERSION and of the data files that the rules read besides the term pairs."""
    digest = hashlib.sha256(str(RULES_VERSION).encode())
    for file in [*sorted(RULES_DIR.glob("*.tsv")), *sorted(WEIGHTS_DIR.glob("*.bin"))]:
        digest.update(file.name.encode() + b"\n" + file.read_bytes())
    return digest.digest()
