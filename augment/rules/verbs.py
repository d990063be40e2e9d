"""Verb frames: what can follow a verb, from `lexicons/rules/verbs.tsv`."""

from augment.rules.tables import read_table


def _by_form() -> dict[str, tuple[str, str]]:
    verbs = [(frame, forms.split("/")) for frame, forms in read_table("verbs.tsv")]
    return {form: (frame, forms[0]) for frame, forms in verbs for form in forms}


# Every form of a verb, with its frame (`two objects`, `infinitive` or `becomes`) and the first form of the verb.
VERB_FRAMES = _by_form()
