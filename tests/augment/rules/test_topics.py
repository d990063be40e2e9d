"""A swap leaves alone what speaks of no person's gender: ships, countries, mankind, God, animals, meanings of words."""

import pytest

from augment import swap


@pytest.mark.parametrize(
    "text",
    [
        "The schooner lost her masts.",
        "HMS Swan was a brig of the Royal Navy. Her first voyage was long. She was late.",
        "After the treaty France kept her colonies.",
        "The trawler turned and her cook waved to her two divers.",
        "Norway and her chancellor said nothing.",
        "A German gunboat and her stokers were lost.",
        "The ship was launched in May and she sank in June.",
        "The rights of man are old.",
        "Man is a strange animal; modern man is tired.",
        "They believed that man's soul was free.",
        "We know that He sees us and keeps His word.",
        "We pray that He hears us.",
        "Nobody but He knows why, says the gospel.",
        "The word mother is old, and so is the pronoun she.",
        'In Latin "vir" means man; the name means "he who laughs".',
        "The name means king.",
        "The noun is masculine and its plural feminine.",
        "Polish has masculine and feminine verbs.",
        "These words are masculine: der Hut, der Tisch.",
        "The tree is feminine in Latin, but masculine in German.",
        "Males and females feed the chicks.",
        'The term "career woman" is dated, and so is the phrase "real men".',
        'The oldest word is "mother", the missing one "her".',
        'Avoid "she" here. We call "manpower" masculine, and "queue" feminine.',
        'The term "male nurse" and the phrase "lady friend" are odd.',
        'A label "mother" is on the box. Search for "queen".',
        '"Madam" derives from "ma dame".',
        "My bird is a female.",
        "The female lays her eggs in the nest.",
        'The film was called "The Sailor\'s Wife".',
    ],
)
def test_left_alone(text: str) -> None:
    assert swap(text).counterfactual == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The captain's wife left the ship with her son.", "The captain's husband left the ship with his daughter."),
        ("A ship met an earl and the hen met an heiress.", "A ship met a countess and the hen met an heir."),
        ("Ruth left the yacht and her doctor followed.", "Ruth left the yacht and his doctor followed."),
        ("She adored Spain and her president.", "He adored Spain and his president."),
        ("She loved France and her mother.", "He loved France and his father."),
        ("She came from England with her brother.", "He came from England with his sister."),
        ("Woman is arrested, and a prize waits for man, 63.", "Man is arrested, and a prize waits for woman, 63."),
        ("Room denied to man and his dog", "Room denied to woman and her dog"),
        ("A 19-year-old male with pain in one of the testes.", "A 19-year-old female with pain in one of the testes."),
        ("The patient is a female, uterus normal.", "The patient is a male, uterus normal."),
        ("Mr. T said he was tired.", "Mrs. T said she was tired."),
        ("That man is a kind of man I like.", "That woman is a kind of woman I like."),
        ("He came to a man who knew.", "She came to a woman who knew."),
        ("However, He Ping left.", "However, He Ping left."),
        ("I met His Majesty and Her Royal Highness.", "I met Her Majesty and His Royal Highness."),
        ("Sad part is She knows that she lost.", "Sad part is He knows that he lost."),
        ("lol I told you that He is at work", "lol I told you that She is at work"),
        ("The word he used was rude.", "The word she used was rude."),
        (
            "That means she is late, and it meant her coat was wet.",
            "That means he is late, and it meant his coat was wet.",
        ),
        ("which means dad is asleep", "which means mom is asleep"),
        ("A cup for girl, 9; he grew from boy to man.", "A cup for boy, 9; she grew from girl to woman."),
        ("By no means, sir.", "By no means, madam."),
        ("females are snakes and love chicks", "males are snakes and love chicks"),
        ("In other words, she was more feminine than I.", "In other words, he was more masculine than I."),
        (
            'She said "my husband left" in her own words: "He left."',
            'He said "my wife left" in his own words: "She left."',
        ),
        ("A female doctor and a male nurse came.", "A male doctor and a female nurse came."),
        ('"Good morning, ladies," he said.', '"Good morning, gentlemen," she said.'),
    ],
)
def test_persons_are_swapped(text: str, expected: str) -> None:
    assert swap(text).counterfactual == expected
