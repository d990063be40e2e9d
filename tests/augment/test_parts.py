"""A text of which only parts may change: the parts are read as one text, and everything else stays byte for byte."""

from augment.lexicon import load_lexicon
from augment.parts import swap_parts
from augment.swap import swap

WITH_NAMES = load_lexicon(("pronouns", "kinship", "titles", "persons", "occupations", "names"))


def wrapped(*contents: str) -> tuple[str, list[tuple[int, int]]]:
    """The contents between words that a swap would change, and where they are."""
    text, parts = "", []
    for content in contents:
        text += "<he|mother>"
        parts.append((len(text), len(text) + len(content)))
        text += content
    return text + "<his>", parts


def test_only_the_parts_change_and_each_as_in_the_whole():
    contents = ("Is the nurse here?", "She left her coat.", "", "Her brother saw him.")
    text, parts = wrapped(*contents)
    pair = swap_parts(text, parts)
    assert pair.counterfactual == wrapped("Is the nurse here?", "He left his coat.", "", "His sister saw her.")[0]
    assert all(text[edit.start : edit.end] == edit.source for edit in pair.edits)
    assert pair.reverse().counterfactual == text
    assert swap_parts("The king left.", [(0, 14)]) == swap("The king left.")
    assert swap_parts(text, []).counterfactual == text


def test_names_are_the_same_in_all_parts():
    text, parts = wrapped("Who is Anna?", "Anna is my sister.", "Where does Anna live?")
    changed = swap_parts(text, parts, WITH_NAMES).counterfactual
    (name,) = {word.strip(".?") for word in changed.split() if word.strip(".?").istitle()} - {"Who", "Where"}
    assert name != "Anna"
    assert changed == wrapped(f"Who is {name}?", f"{name} is my brother.", f"Where does {name} live?")[0]


def test_what_one_part_says_holds_in_the_next():
    ship = ("I sailed on the Titanic.", "She was a large ship, and her captain was a man.")
    together = swap_parts(*wrapped(*ship))
    assert together.counterfactual == wrapped(ship[0], "She was a large ship, and her captain was a woman.")[0]


def test_no_phrase_reaches_from_one_part_into_the_next():
    assert swap("My best\nman came.").counterfactual == "My maid of honour came."
    pair = swap_parts(*wrapped("He was my best", "man of the year"))
    assert pair.counterfactual == wrapped("She was my best", "woman of the year")[0]
