"""Words called out, in chat too: man, boy, guys and bro stay there, and are swapped where they tell of somebody."""

import pytest

from augment import swap


@pytest.mark.parametrize(
    "text",
    [
        "so sick of this class man, I need sun",
        "I love Fridays man, don't you?",
        "I sold my shares man, I had to",
        "share your photos guys #summer",
        "what a match guys :)",
        "u guys are early",
        "y'all guys won",
        "Atta boy Sam",
        "@kim boy what is that",
        "nice one @kim boy stop",
        "RT @kim: man I overslept",
        "bro I lost my keys",
        "this game bro, I can't watch",
        "miss you bro!",
    ],
)
def test_left_alone(text: str) -> None:
    assert swap(text).counterfactual == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("We found the man, I believe.", "We found the woman, I believe."),
        ("He is a good man, I think.", "She is a good woman, I think."),
        ("@kim the man you wanted is out", "@kim the woman you wanted is out"),
        ("RT @kim: man held in Leeds", "RT @kim: woman held in Leeds"),
        ("Boy stops a bus", "Girl stops a bus"),
        ("two short guys #fun", "two short gals #fun"),
        ("Ask the sales guys.", "Ask the sales gals."),
        ("my little bro is ill", "my little sis is ill"),
        ("his bro and sis", "her sis and bro"),
    ],
)
def test_persons_are_swapped(text: str, expected: str) -> None:
    assert swap(text).counterfactual == expected
