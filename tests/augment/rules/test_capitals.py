"""What capitals say: nothing at the start of a sentence or in a headline, and that a word is an acronym elsewhere."""

import pytest

from augment import swap

SENTENCE_STARTS = [
    ("She moved to Ohio. Her Polish mother stayed.", "He moved to Ohio. His Polish father stayed."),
    ("Ask Jim! His Honda is new.", "Ask Jim! Her Honda is new."),
    ("They live in Oslo.[3] Her English is good.", "They live in Oslo.[3] His English is good."),
    ('"We love Rome." His French friend left.', '"We love Rome." Her French friend left.'),
    ("He works at N.A.S.A. His PhD helps.", "She works at N.A.S.A. Her PhD helps."),
    ("We saw Maria and Her Friends.", "We saw Maria and Her Friends."),
]
HEADLINES = [
    ("When She Met Her Husband", "When He Met His Wife"),
    ("Singer Says He Will Sell His House", "Singer Says She Will Sell Her House"),
    ("Texas Woman Finds Her Lost Dog After Storm", "Texas Man Finds His Lost Dog After Storm"),
    ("Son of Two Teachers Wins Chess Prize", "Daughter of Two Teachers Wins Chess Prize"),
    ("France Beats U.S. Women's Relay Team", "France Beats U.S. Men's Relay Team"),
    ("Baker Tells Why Prince George Met Princess Alice", "Baker Tells Why Princess George Met Prince Alice"),
    ("Promoter Don King Says He Is Done", "Promoter Don King Says She Is Done"),
    ("Be My Wife! Clerk Begs His Boss To Say Yes", "Be My Husband! Clerk Begs Her Boss To Say Yes"),
    ("Is She Late? Two Judges Doubt Their Own Clocks", "Is He Late? Two Judges Doubt Their Own Clocks"),
    ("Star Cook Says this Oven Glove Is the One She Got", "Star Cook Says this Oven Glove Is the One He Got"),
    ("Coach Leaves Duke After Loss in Maine", "Coach Leaves Duke After Loss in Maine"),
    ("Duke and Duchess of Kent Open Their Home", "Duchess and Duke of Kent Open Their Home"),
    ("Why You Miss Bob When He Is Away", "Why You Miss Bob When She Is Away"),
    ("A 9-year-old Boy Won the cup", "A 9-year-old Girl Won the cup"),
    ("Prince George's Old Hat Deserves An Award", "Princess George's Old Hat Deserves An Award"),
    ("Chef Tests A George Foreman Grill At Home", "Chef Tests A George Foreman Grill At Home"),
    ("Clerk Sells His Step-Daughter A Car", "Clerk Sells Her Step-Son A Car"),
    ("Man Has Nine Cats And A Dog", "Woman Has Nine Cats And A Dog"),
    ("Mayor Defends Her Record", "Mayor Defends His Record"),
    ("Superman Loses His Cape Again", "Superman Loses His Cape Again"),
    ("Hu Wen, Li Bo, He Guo, Jia Lin, Wu Fei", "Hu Wen, Li Bo, He Guo, Jia Lin, Wu Fei"),
    ("Jesus is the Son of God.", "Jesus is the Son of God."),
    ("We sang The Girl Next Door to him.", "We sang The Girl Next Door to her."),
]
CHAT = [
    ("RT Girls love rain", "RT Boys love rain"),
    ("Real Women fish", "Real Men fish"),
    ("The Luckiest Man on Earth", "The Luckiest Woman on Earth"),
    ("Have you seen This Boy?", "Have you seen This Girl?"),
    ("our Ex Husband's car", "our Ex Wife's car"),
    ("Mum : Who ran?", "Dad : Who ran?"),
    ("I fed the Homeless Woman.", "I fed the Homeless Man."),
    ("We sat. Here's Queen Anne.", "We sat. Here's King Anne."),
    ("Watch Prince Louis.", "Watch Princess Louis."),
    ("We like Iron Man, The Invisible Man and the White Ladies.",) * 2,
    ("We saw Real Women Have Curves and went to Burger King.",) * 2,
]
SEXES = [
    ("A choir of Male and Female voices.", "A choir of Female and Male voices."),
    ("Male Dutch nurses met a Female Cook.", "Female Dutch nurses met a Male Cook."),
    ("Suspect: White Male, 30", "Suspect: White Female, 30"),
    ("The Boys and Girls sang.", "The Girls and Boys sang."),
    ("Troy Female Seminary closed.", "Troy Female Seminary closed."),
]
ACRONYMS = [
    ("HE colleges are few. The HE budget fell.", "HE colleges are few. The HE budget fell."),
    ("HIM staff run the HIS servers.", "HIM staff run the HIS servers."),
    ("HER-2 and HER2 tests, a HIS-tag", "HER-2 and HER2 tests, a HIS-tag"),
    ("The Money Order Machine (MOM) broke; MOM is old.", "The Money Order Machine (MOM) broke; MOM is old."),
    # No pronoun stands behind a possessive.
    ("The clinic linked its HIS to its LIS.", "The clinic linked its HIS to its LIS."),
    ("Its LAN and its MAN were slow; he left.", "Its LAN and its MAN were slow; she left."),
    ("It is HIS turn, HE said, so tell HIM now!", "It is HER turn, SHE said, so tell HER now!"),
    ("my MOM said SHE did it", "my DAD said HE did it"),
    ("HE WROTE TO HIS MOTHER.", "SHE WROTE TO HER FATHER."),
    ("The DAD server and a MAN lorry; the WLAN, the MAN.", "The DAD server and a MAN lorry; the WLAN, the MAN."),
    ("A SIS entry, a LAD III lesion and the BRO XII file", "A SIS entry, a LAD III lesion and the BRO XII file"),
    ("A SIR curve and the HERS index fell.", "A SIR curve and the HERS index fell."),
    ("the MAN who ran, the DAD left, HERS was red", "the WOMAN who ran, the MOM left, HIS was red"),
    ("He is a MAN today. A WOMAN president won!", "She is a WOMAN today. A MAN president won!"),
    ("His12 and His are histidines.", "His12 and His are histidines."),
]
STAMMERS = [
    ("She-She's asleep", "He-He's asleep"),
    ("He- he can't", "She- she can't"),
    ("She-Ra sings", "She-Ra sings"),
]
LABELS = [
    ("GUY: Stop! GIRL: No.", "GAL: Stop! BOY: No."),
    ("GAL 2 (angry): Stop!", "GUY 2 (angry): Stop!"),
    ("<b>Man No. 2:</b> Hi", "<b>Woman No. 2:</b> Hi"),
    ("Tall Girl: Hi\nCoffee Guy: Bye", "Tall Boy: Hi\nCoffee Gal: Bye"),
    ("Then Woman Two sat beside Man B.", "Then Man Two sat beside Woman B."),
]


@pytest.mark.parametrize(
    ("original", "counterfactual"), [*SENTENCE_STARTS, *HEADLINES, *CHAT, *SEXES, *ACRONYMS, *STAMMERS, *LABELS]
)
def test_capitals_are_read(original, counterfactual):
    pair = swap(original)
    assert pair.counterfactual == counterfactual
    assert pair.reverse().counterfactual == original
