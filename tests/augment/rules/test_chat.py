"""Phrases and spellings of chat whose gendered word speaks of nobody's gender, beside those that do."""

import pytest

from augment import swap


@pytest.mark.parametrize(
    "text",
    [
        "that burger king on main street",
        "lady gaga again at work",
        "mother fuckin rain",
        "don't be such a fuck boy",
        "boys being boys, as usual",
        "that was a straw man",
        "lord help me with this parking",
        "thank you lord for pizza",
        "Oh my LORD, what a cake",
        "it ain't nun to see here",
        "WE WILL MISS YOU",
        "fight the heroine addiction",
        "Ole Miss lost again",
        "if the soup is good, wife that cook",
        "uncle toms and cowards",
        "cash is king",
        "God loves his people",
        "Thank you Father God",
        "I am on t he roof",
        "call me w he n you land",
        "oh he ck no",
        "happy mama's day",
        "lady ga ga again",
        "man utd lost, man coverage too",
        "look at s he again",
    ],
)
def test_left_alone(text: str) -> None:
    assert swap(text).counterfactual == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the king of Spain ate a burger", "the queen of Spain ate a burger"),
        ("my mother told me", "my father told me"),
        ("a tall boy fell", "a tall girl fell"),
        ("the lord of the manor", "the lady of the manor"),
        ("a kind nun sang", "a kind monk sang"),
        ("MISS HILL IS HERE", "MR. HILL IS HERE"),
        ("the heroine of the story", "the hero of the story"),
        ("my baby daddy is late", "my baby mama is late"),
        ("Best man ever", "Best woman ever"),
        ("what s he doing there", "what s she doing there"),
        ("a map of plan c he made", "a map of plan c she made"),
        ("my Evening Husband is late", "my Evening Wife is late"),
        ("Asking My Sister for a lift", "Asking My Brother for a lift"),
        ("You saw my Daughters Party", "You saw my Sons Party"),
        ("it was the LIFE of a Girl", "it was the LIFE of a Boy"),
        ("Me : Who?Tall Guy : I was", "Me : Who?Tall Gal : I was"),
        ("a photo of Bollywood Actress Jo Bell", "a photo of Bollywood Actor Jo Bell"),
        ("@kim God he is slow", "@kim God she is slow"),
        ("God I love him", "God I love her"),
        ("you females and your birds", "you males and your birds"),
        ("RT A Man who waits gets soup", "RT A Woman who waits gets soup"),
        ("he is king", "she is queen"),
        ("he ends a war", "she ends a war"),
        ("my mama's day was long", "my papa's day was long"),
        ("I hope mummy rings", "I hope daddy rings"),
        ("an old mummy in a tomb", "an old mummy in a tomb"),
        ("GET OFF HIM boo", "GET OFF HER boo"),
        ("the lords vote on that bill", "the lords vote on that bill"),
        ("the lords of the manor dined", "the ladies of the manor dined"),
        ("I beg the lord to help her", "I beg the lord to help him"),
        ("Our text: The Lord keeps his word", "Our text: The Lord keeps his word"),
        ("The Lord forgive me! he said", "The Lord forgive me! she said"),
        ("Hall &amp; Sons fed the sons", "Hall &amp; Sons fed the daughters"),
        ("they got her drunk smh", "they got him drunk smh"),
        ("if you get her angry, you will see", "if you get him angry, you will see"),
        ("I ran up to her wit a cake", "I ran up to him wit a cake"),
        ("I like her wit and charm", "I like his wit and charm"),
        ("phone her 1st thing on Monday", "phone him 1st thing on Monday"),
        ("I will sing like her one day because I can", "I will sing like him one day because I can"),
        ("tell her jump in the car", "tell him jump in the car"),
        ("that makes her pretty sad", "that makes him pretty sad"),
        ("make it worth her while", "make it worth his while"),
        ("the dogs and that son of a ****", "the dogs and that son of a ****"),
        ("I like lady gaga, her songs rock", "I like lady gaga, her songs rock"),
        ("a female dog chased my wife", "a female dog chased my husband"),
        ("a female dog owner chased my wife", "a male dog owner chased my husband"),
        ("Hey girlie, how is he?", "Hey girlie, how is she?"),
        ("Actress is set to play a queen", "Actor is set to play a king"),
        ("She was crowned Miss Global", "He was crowned Miss Global"),
    ],
)
def test_persons_are_swapped(text: str, expected: str) -> None:
    assert swap(text).counterfactual == expected
