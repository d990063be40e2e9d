"""Ordinary sentences that an earlier version swapped wrongly or not at all, grouped by the error."""

import pytest

from augment import swap

PIECES = [
    ("The king returned to his castle at dusk.", "The queen returned to her castle at dusk."),
    ("King Henry quarrelled with his bishops.", "Queen Henry quarrelled with her bishops."),
    ("The queen wore diamonds at her coronation.", "The king wore diamonds at his coronation."),
    ("The queen put on a pair of gloves.", "The king put on a pair of gloves."),
    ("The king and Jack sent Christmas cards.", "The queen and Jack sent Christmas cards."),
    ("He castled and moved the queen.", "She castled and moved the queen."),
    ("She took the queen of diamonds from the pack of cards.", "He took the queen of diamonds from the pack of cards."),
    ("His bishop was captured and the king was in check.", "Her bishop was captured and the king was in check."),
]
WEB = [
    ("His wife[2] died and his mother[3] left.", "Her husband[2] died and her father[3] left."),
    ("His&nbsp;wife and her&nbsp;son left.", "Her&nbsp;husband and his&nbsp;daughter left."),
    ("She&rsquo;s his sister.", "He&rsquo;s her brother."),
    ("...he walked away without his coat.", "...she walked away without her coat."),
    ("The women's/men's ratio fell.", "The men's/women's ratio fell."),
    ("A&B his&her x=she", "A&B his&her x=she"),
    ("see ./man and wife.man[0]", "see ./man and wife.man[0]"),
]
OCCUPATIONS = [
    ("She is married to actor John Hill.", "He is married to actress John Hill."),
    ("My mother's landlord lost his keys.", "My father's landlady lost her keys."),
    ("She left her husband, who worked as a waiter.", "He left his wife, who worked as a waitress."),
    ("She succeeded him as chairman of the board.", "He succeeded her as chairman of the board."),
    ("She is a talented young actor.", "He is a talented young actor."),
    ("He hired three actors and an actress.", "She hired three actresses and an actor."),
    ("A landlady knows other landlords. The actors left.", "A landlord knows other landladies. The actors left."),
]
EXCLAIMED = [
    ("Woman, 34, arrested after her husband fell.", "Man, 34, arrested after his wife fell."),
    ("Man, woman and child were lost.", "Woman, man and child were lost."),
    ('"No man," he said.', '"No woman," she said.'),
    ("Man, that hurt her!", "Man, that hurt him!"),
]
CALLED_OUT = [
    ("See you Monday, man. Bring her keys.", "See you Monday, man. Bring his keys."),
    ("cheers man", "cheers man"),
    ("I believe you man!", "I believe you man!"),
    ("<i>Lee:</i> Ugh, man!", "<i>Lee:</i> Ugh, man!"),
    ("Man what a week.", "Man what a week."),
    ("Boy do I hate rain.", "Boy do I hate rain."),
    ("Well played, guys.", "Well played, guys."),
    ("Listen man, I asked her.", "Listen man, I asked him."),
    ("Sit down, woman!", "Sit down, man!"),
    ("Poor man!", "Poor woman!"),
    ("A cat, a dog, a man.", "A cat, a dog, a woman."),
    ("He was the right man.", "She was the right woman."),
    ("Of course, Sir. They wait.", "Of course, Madam. They wait."),
    ("Yes Sir I can.", "Yes Madam I can."),
    ("Sir Alan. Dame Rose", "Dame Alan. Sir Rose"),
    ("Help us, Lord. We are lost.", "Help us, Lord. We are lost."),
]
LISTED = [
    ("Ana Ruiz (she/her/hers)", "Ana Ruiz (he/him/his)"),
    ("Pronouns: He/Him/His.", "Pronouns: She/Her/Hers."),
    ("they/she/he", "they/he/she"),
    ("his/her/their vote", "her/his/their vote"),
    ("see her/his/index.html", "see her/his/index.html"),
]
EVERYBODY = [
    ("He was a god, she a goddess.", "She was a goddess, he a god."),
    ("One steward left; the stewardesses stayed.", "One stewardess left; the stewards stayed."),
    ("Poets praised the poetess.", "Poetesses praised the poet."),
    ("Oh my god, a goddess!", "Oh my god, a god!"),
    ("The actors bowed to her.", "The actors bowed to him."),
    ("Actresses and actors bowed.", "Actors and actresses bowed."),
    ("Landlords raised the rent.", "Landlords raised the rent."),
    ("Her momma sewed; my papa cooked.", "His papa sewed; my mama cooked."),
    ("A girly room for his aunties", "A boyish room for her uncles"),
    ("You be the mummy, I'm the baby.", "You be the daddy, I'm the baby."),
    ("The mummy lay in a tomb.", "The mummy lay in a tomb."),
    ("The count kept a mistress.", "The count kept a mistress."),
    ("The mistress called the servants.", "The master called the servants."),
]
LOWER_CASE = [
    ("i spoke to ms brand about it", "i spoke to mr brand about it"),
    ("and ms brand , how is your son ?", "and mr brand , how is your daughter ?"),
    ("we use ms word, a delay of 9 ms. with ms symptoms", "we use ms word, a delay of 9 ms. with ms symptoms"),
    ("okay , miss ortega , sit down", "okay , mr. ortega , sit down"),
    ("we saw ms. lane today", "we saw mr. lane today"),
    ("miss lane is here with her son", "mr. lane is here with his daughter"),
    ("hello ms lane", "hello mr lane"),
    ("i miss lane and her cat", "i miss lane and his cat"),
    ("a delay of 20 ms. she waited", "a delay of 20 ms. he waited"),
    ("the miss rate of his cache", "the miss rate of her cache"),
]
ANIMALS_AND_GOD = [
    ("The mare broke her leg. Then she lay down.", "The mare broke her leg. Then she lay down."),
    ("Our old rooster lost his voice.", "Our old rooster lost his voice."),
    ("The nurse saw a cow and lost her hat. He laughed.", "The nurse saw a cow and lost her hat. She laughed."),
    ("His wife fed a hen and washed her hands.", "Her husband fed a hen and washed his hands."),
    ("Emma fed a hen and washed her hands.", "Emma fed a hen and washed his hands."),
    ("The bull chased his wife.", "The bull chased her husband."),
    ("God loves his people.", "God loves his people."),
    ("God sent His only son.", "God sent His only son."),
    ("Trust the Lord, for he is kind.", "Trust the Lord, for he is kind."),
    ("Oh God, he fell!", "Oh God, she fell!"),
    ("He thanks God for his wife.", "She thanks God for her husband."),
    ("The yacht sank; her crew and her husband swam.", "The yacht sank; her crew and his wife swam."),
]
PHRASES = [
    ("My Dutch uncle wrote to an agony aunt and my aunt.", "My Dutch uncle wrote to an agony aunt and my uncle."),
    ("By a gentlemen's agreement she left.", "By a gentlemen's agreement he left."),
    ("The whipping boy and the daughter boards", "The whipping boy and the daughter boards"),
    ("Fill her up, please, and wash her car.", "Fill her up, please, and wash his car."),
    ('Change "her" to "their".', 'Change "her" to "their".'),
    ('Type "he" rather than "she".', 'Type "he" rather than "she".'),
    ('The page reads "his", then "her".', 'The page reads "his", then "her".'),
    ('Her "friend" lost his "job".', 'His "friend" lost her "job".'),
    ("Mistress Joan met my mistress.", "Master Joan met my master."),
    ("Is it you, Miss Lane? Write to Miss Lane.", "Is it you, Mr. Lane? Write to Mr. Lane."),
    ("Mother of God, help him.", "Mother of God, help her."),
    ('The "king" of his street', 'The "queen" of her street'),
    ("The neuter gender fell away before the feminine.", "The neuter gender fell away before the feminine."),
]
NAMES = [
    (
        "The officer joined His Majesty's army, leaving his wife.",
        "The officer joined Her Majesty's army, leaving her husband.",
    ),
    ("On Her Majesty's Secret Service bored her.", "On Her Majesty's Secret Service bored him."),
    ("Actress Emma Hill lost her bag.", "Actor Emma Hill lost his bag."),
    ("First Lady Anna Hill wore her blue coat.", "First Gentleman Anna Hill wore his blue coat."),
    ("Sister Agnes and Brother Paul teach Latin.", "Brother Agnes and Sister Paul teach Latin."),
    ("Hill and Sons lost her order.", "Hill and Sons lost his order."),
]
TITLES = [
    ('"Thank you, Miss. Now go home."', '"Thank you, Sir. Now go home."'),
    ('"Yes, Miss. I will."', '"Yes, Sir. I will."'),
    ("She was born in Jackson, Miss. Her father left.", "He was born in Jackson, Miss. His mother left."),
    ("We gave his hat to Miss Hill.", "We gave her hat to Mr. Hill."),
    ("Miss. Carter lost her keys.", "Mr. Carter lost his keys."),
    ('He sang "Miss You" to her.', 'She sang "Miss You" to him.'),
    ("Mr.\nPresident, she is here.", "Madam\nPresident, he is here."),
    ("Mr. Deputy Speaker, he is wrong.", "Madam Deputy Speaker, she is wrong."),
    ("Lord and Lady Hill came.", "Lady and Lord Hill came."),
    ("He was one of the best men I have known.", "She was one of the best women I have known."),
    ("His best man lost the ring at the wedding.", "Her maid of honour lost the ring at the wedding."),
    ("His brother was to be best man.", "Her sister was to be maid of honour."),
    ("May the best man win!", "May the best woman win!"),
    ("Bride and groom cut the cake.", "Groom and bride cut the cake."),
    ("I now pronounce you man and wife.", "I now pronounce you man and wife."),
    ("The queen mother waved.", "The queen mother waved."),
    ("The queen mother-in-law waved.", "The king father-in-law waved."),
    ("Each queen ruled for a decade.", "Each king ruled for a decade."),
]
MEANINGS = [
    ("I mean the man in the corner.", "I mean the woman in the corner."),
    ("He was a well-meaning man, but his wife was not.", "She was a well-meaning woman, but her husband was not."),
    ("He saved that woman's life.", "She saved that man's life."),
    ("They spoke of man and woman as equals.", "They spoke of woman and man as equals."),
    ("The Latin word means king.", "The Latin word means king."),
    ("The female students sold flowers.", "The male students sold flowers."),
    ("The male chef cracked two eggs into his bowl.", "The female chef cracked two eggs into her bowl."),
    ("The female lays two eggs in her nest.", "The female lays two eggs in her nest."),
    (
        "The captain asked for volunteers to man\nthe lifeboat.",
        "The captain asked for volunteers to man\nthe lifeboat.",
    ),
]
PHRASES_IN_TWO_WORDS = [
    ("They dug a man made pond.", "They dug a man made pond."),
    ("The reef is man made, he says.", "The reef is man made, she says."),
    ("The man made soup.", "The woman made soup."),
    ("what a mother fucker", "what a mother fucker"),
    ("I would never wife a girl I met there", "I would never wife a boy I met there"),
    ("he gonna wife her up", "she gonna wife him up"),
    ("His wife, a judge, left.", "Her husband, a judge, left."),
]
OBJECTS = [
    ("We met her online.", "We met him online."),
    ("The officers escorted her inside.", "The officers escorted him inside."),
    ("He drove her downtown.", "She drove him downtown."),
    ("He read her inside story.", "She read his inside story."),
]


@pytest.mark.parametrize(
    ("original", "counterfactual"),
    [
        *PIECES,
        *WEB,
        *OCCUPATIONS,
        *EXCLAIMED,
        *CALLED_OUT,
        *LISTED,
        *EVERYBODY,
        *LOWER_CASE,
        *ANIMALS_AND_GOD,
        *PHRASES,
        *NAMES,
        *TITLES,
        *MEANINGS,
        *PHRASES_IN_TWO_WORDS,
        *OBJECTS,
    ],
)
def test_a_sentence_is_swapped_and_comes_back(original, counterfactual):
    assert swap(original).counterfactual == counterfactual
    assert swap(original).reverse().counterfactual == original


def test_text_without_sentence_ends_is_read():
    """Each of these took minutes while the search for the start of a sentence or address had no limit."""
    assert len(swap("the king and his man said that he saw her " * 2000).edits) == 10_000
    assert len(swap("@ " + "a" * 16_000 + " he").edits) == 1


def test_a_name_keeps_no_pronouns_far_before_it():
    text = "He told his wife the truth. He left at noon. The list: " + "one of many things, " * 40 + "and Batman smiled"
    assert swap(text).counterfactual.startswith("She told her husband the truth. She left at noon.")
