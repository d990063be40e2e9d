"""Capitalised gendered words: a swap leaves names alone and changes the titles of persons."""

import pytest

from augment import swap


@pytest.mark.parametrize(
    "text",
    [
        "Prince played every instrument himself.",
        "The Rolling Stones and Queen toured.",
        "I bought a Queen album.",
        "The Kings beat the Cowboys.",
        "Earl Hooker sang.",
        "They sailed on the Queen Mary.",
        "Flights go to towns in Prince George.",
        "The Prince of Wales Theatre is dark.",
        "A portrait called Death of a Nobleman hangs there.",
        "St. Anne's School for Girls closed.",
        "She-Ra fought.",
        "The Lord Warden spoke.",
        "The Dowager Countess frowned.",
        "A group (GAL) is unknown to us.",
        "Yet\nDr. Monk left.",
        "The Lady Tigers won their match.",
        "Texas Lady Mustangs and the LSU Lady Hornets",
        "We drank a Lady Baker tea.",
        "They own a King Charles spaniel.",
        "Trains run to Brooklyn and Queens.",
        "They moved from Queens, New York, to Maine.",
        "The singer Prince sang; the rock band Queen played.",
        "QUEEN OF THE DAMNED, WONDER WOMAN",
        "Batman fans cheer that she won and he lost.",
        "She likes Iron Man better than he does.",
        "In his cave, Batman slept.",
        "me and earl baked",
        "surprise duke with a ball",
    ],
)
def test_left_alone(text: str) -> None:
    assert swap(text).counterfactual == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("No earl or duke came.", "No countess or duchess came."),
        ("Lord and Lady Fenn dined.", "Lady and Lord Fenn dined."),
        ("He studied at King's with her.", "She studied at King's with him."),
        ("He sang “Lady in Red” to her.", "She sang “Lady in Red” to him."),
        ("The Polish King Jan fled.", "The Polish Queen Jan fled."),
        ("The old Countess' eyes", "The old Count's eyes"),
        ("the hero and the heroine; gods or goddesses", "the heroine and the hero; goddesses or gods"),
        ("The heroine and her hero left.", "The hero and his heroine left."),
        ("The hero and his heroine left.", "The heroine and her hero left."),
        ("The groom smiled; a groom fed the horses.", "The bride smiled; a groom fed the horses."),
        ("It was _his_ idea, not _hers_.", "It was _her_ idea, not _his_."),
        ('<b class="his">her</b> room', '<b class="his">his</b> room'),
        ("a woman-owned firm", "a man-owned firm"),
        ("HEY GAL, LOOK!", "HEY GUY, LOOK!"),
        ("Lady Hastings met the Kings and Queens of Spain.", "Lord Hastings met the Queens and Kings of Spain."),
        ("He played Batman and won his first prize.", "She played Batman and won her first prize."),
        ("His film about Superman bored him.", "Her film about Superman bored her."),
        ("Batman left. He and she fought.", "Batman left. She and he fought."),
    ],
)
def test_persons_are_swapped(text: str, expected: str) -> None:
    assert swap(text).counterfactual == expected
