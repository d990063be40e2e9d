"""Letter case: give a counterpart the style of the word that it replaces. Pure functions."""

import re
import unicodedata

_SMALL = frozenset({"of", "in", "the", "and", "a"})
_PART = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")


def upper_first(term: str) -> str:
    """The term with its first letter in upper case."""
    return term[:1].upper() + term[1:]


def title_each(term: str) -> str:
    """The term with a capital in every part except small words: mother-in-law -> Mother-in-Law."""
    return _PART.sub(lambda m: m.group() if m.group() in _SMALL else upper_first(m.group()), term)


def title_all(term: str) -> str:
    """The term with a capital in every part: mother-in-law -> Mother-In-Law."""
    return _PART.sub(lambda m: upper_first(m.group()), term)


def styled_forms(term: str, target: str) -> dict[str, str]:
    """All surface forms in which `term` is recognised, each with the form of `target` in the same style.

    Styles: as written, lower, Title (first letter, each part), UPPER; each with plain and typographic apostrophe and,
    for accented terms, composed and decomposed. A form in any other mix of cases is not recognised.
    """
    forms: dict[str, str] = {}
    for style in (str, str.lower, upper_first, title_each, title_all, str.upper):
        forms.setdefault(style(term), style(target))
    for form, other in list(forms.items()):
        forms.setdefault(form.replace("'", "’"), other.replace("'", "’"))
        decomposed = unicodedata.normalize("NFD", form)
        if decomposed != form:
            forms.setdefault(decomposed, unicodedata.normalize("NFD", other))
    return forms


def recase(source: str, target: str) -> str:
    """`target` (lower-case) in the style of the surface form `source`."""
    if source.isupper() and len(source) > 1:
        return target.upper()
    return upper_first(target) if source[:1].isupper() else target
