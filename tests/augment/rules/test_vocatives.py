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
        "got home early man I am starving",
        "this traffic is insane man 😩",
        "my battery is low asf man",
        "lmao man look who called me",
        "I waited all day at the docks man",
        "it was so good man I cried",
        "Man too much rain for my shoes",
        "@kim man that soup saved me",
        "but man I needed that nap",
        "yep girl I saw it",
        "nah girl that jacket is mine",
        "so proud of you girl!",
        "lol boy you tripped",
        "Girl I told you",
        "thanks for nothing btw guys, I waited",
        "I was kidding guys I like it",
        "room for two more bro",
        "what a goal that was bro 😍",
        "ooooh man I won",
        "but boy was that soup hot",
        "SO PROUD OF YOU GIRL!",
        "it's cold soup man 🥶",
        "my holiday is over man",
        "the rain ruined my hair man 😒",
        "you are late, man wake up lol",
        "😂 man oh man that cat",
        "@kim man, my phone died",
        "Man. I needed that nap.",
        "guys we made it",
        "well, girl I tried",
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
        ("no man can tell me that", "no woman can tell me that"),
        ("I met my man at work", "I met my woman at work"),
        ("I hate that man 😡", "I hate that woman 😡"),
        ("he is a really tall man, you know", "she is a really tall woman, you know"),
        ("you are some kind of ice cream van man", "you are some kind of ice cream van woman"),
        ("I am old man enough", "I am old woman enough"),
        ("my aunt saw a slim, tired man", "my uncle saw a slim, tired woman"),
        ("Man jailed after my neighbours called", "Woman jailed after my neighbours called"),
        ("Man missing since my party", "Woman missing since my party"),
        ("Man beat up your neighbour", "Woman beat up your neighbour"),
        ("Police find man in my garden", "Police find woman in my garden"),
        ("his older bro left", "her older sis left"),
        ("I met the night man.", "I met the night woman."),
        ("they man is late", "they woman is late"),
        ("I asked ya girl", "I asked ya boy"),
        ("she's the it girl!", "he's the it boy!"),
    ],
)
def test_persons_are_swapped(text: str, expected: str) -> None:
    assert swap(text).counterfactual == expected
