"""Words are found and sentences are read through mark-up: handles, escapes, tags, emphasis, glued marks."""

import pytest

from augment import kept_terms, swap
from augment.rules.guards import code_spans
from augment.rules.markup import sentence_view, unmarked

HANDLES = [
    ("@kim He forgot his keys.", "@kim She forgot her keys."),
    ("RT @kim: @lee Her bus was late.", "RT @kim: @lee His bus was late."),
    (".@kim She's late again", ".@kim He's late again"),
    ('"@kim His Honda broke down', '"@kim Her Honda broke down'),
    ("#rain #monday Her Mother called.", "#rain #monday His Father called."),
    ("Nice goal. @kim He scored twice.", "Nice goal. @kim She scored twice."),
    ("so proud of #kim She did it", "so proud of #kim He did it"),
    ("@kim Mum is here", "@kim Dad is here"),
    ("@kim:He left, @lee,she stayed", "@kim:She left, @lee,he stayed"),
    ("I pray that He hears us.", "I pray that He hears us."),
]
GLUED = [
    ("She hired two women(both bakers) and a girl(16).", "He hired two men(both bakers) and a boy(16)."),
    ("It was for his wife(Ann) only.", "It was for her husband(Ann) only."),
    ("They asked her&her husband in.", "They asked him&his wife in."),
    ("my mom &his dad left", "my dad &her mom left"),
    ("He told her:Never again.", "She told him:Never again."),
    ("A kind woman.https://t.co/x1 said", "A kind man.https://t.co/x1 said"),
    ("call her!http://x.org", "call him!http://x.org"),
    ("Read man(1), f(he) and woman(x, y).", "Read man(1), f(she) and woman(x, y)."),
    ("They were slow.she ran ahead", "They were slow.he ran ahead"),
    ("*yawns*girl: good night", "*yawns*boy: good night"),
    ("x = node.she and 5*guy, see http://x.org/a.he now", "x = node.she and 5*guy, see http://x.org/a.he now"),
    ("a=1&his=2 and std::man and C&A", "a=1&his=2 and std::man and C&A"),
    ("We saw two boys+three girls.", "We saw two girls+three boys."),
    ("The uncle+aunt came~ and a king~queen pair", "The aunt+uncle came~ and a queen~king pair"),
    ("Lord&Lady Grey met her+him, x=man", "Lady&Lord Grey met him+her, x=man"),
    ("LADIES&GENTLEMEN PLEASE SIT", "GENTLEMEN&LADIES PLEASE SIT"),
    ("my uncle:he paints, and his aunt's+uncle's flat", "my aunt:she paints, and her uncle's+aunt's flat"),
    ("my aunt(RIP) liked f(he) and his uncle(NYC)", "my uncle(RIP) liked f(she) and her aunt(NYC)"),
    ("The heiress[Ruth] and her uncle[on the left] ate.", "The heir[Ruth] and his aunt[on the left] ate."),
    ("There were women:7 and men:5.5% here, and man[i] too", "There were men:7 and women:5.5% here, and man[i] too"),
    ("The uncle[sic] and his niece[unnamed].", "The aunt[sic] and her nephew[unnamed]."),
    ("Set king[square] = 1, then queen[key] and man[page][line].",) * 2,
    ("I said “yes”&she left his mom’s&dad’s flat", "I said “yes”&he left her dad’s&mom’s flat"),
]
ESCAPES = [
    (r"he\u2019s here with his mother\u2019s dog", r"she\u2019s here with her father\u2019s dog"),
    (r"then \u201cHe ran\u201d\u002c she said", r"then \u201cShe ran\u201d\u002c he said"),
    (r"he\'s late, she said \"He ran\"", r"she\'s late, he said \"She ran\""),
    (r"He ran.\nShe slept.\n\nHis wife ate.", r"She ran.\nHe slept.\n\nHer husband ate."),
    (r"see C:\men\her and \\srv\his", r"see C:\men\her and \\srv\his"),
    ("We met her\u200b. \u200bShe left\ufeff", "We met him\u200b. \u200bHe left\ufeff"),
    ("a wo\u200bman and a he\u200dro", "a wo\u200bman and a he\u200dro"),
]
APOSTROPHES = [
    ("don`t wake her, he`s tired and so`s his dog", "don`t wake him, she`s tired and so`s her dog"),
    ("my sister´s bike isn´t hers", "my brother´s bike isn´t his"),
    ("Happy Mother`s Day, she`ll love it", "Happy Mother`s Day, he`ll love it"),
    ("call `his` or `her`, it`s her code", "call `his` or `her`, it`s his code"),
    ("the `he`s of a text and her", "the `he`s of a text and him"),
    ("lost her\xa0$5 hat and his\xa0old C# book", "lost his\xa0$5 hat and her\xa0old C# book"),
]
MARKS = [
    (r"\emph{She} left. \textbf{His} coat", r"\emph{He} left. \textbf{Her} coat"),
    (r"{\bf He} left. \item She came. \ref{her}", r"{\bf She} left. \item He came. \ref{her}"),
    (
        "She sold her [old car](http://x.org/a_b), her [bike](#b).",
        "He sold his [old car](http://x.org/a_b), his [bike](#b).",
    ),
    (
        "We met her [last May](x.md) and ![his wife](wife.png)",
        "We met him [last May](x.md) and ![her husband](wife.png)",
    ),
    ("[i]He[/i] left. [quote=kim]Her coat[/quote]", "[i]She[/i] left. [quote=kim]His coat[/quote]"),
    ("==Her youth==\n===Later, his wife===\nif he==she", "==His youth==\n===Later, her husband===\nif he==she"),
    ("'''His''' coat; ''she'' left", "'''Her''' coat; ''he'' left"),
    ("[[Queen Anne|her]] coat, [[king]]s", "[[Queen Anne|his]] coat, [[queen]]s"),
    ("We found *her*. **She** hid; ~~his~~ coat", "We found *him*. **He** hid; ~~her~~ coat"),
    ("__she's__ tired, __he is__ not; __he__ and __her_id__", "__he's__ tired, __she is__ not; __he__ and __her_id__"),
    ("[his coat](her.html) and [her](http://x.org/he)", "[her coat](her.html) and [him](http://x.org/he)"),
    ("ever\\women came, his\\coat", "ever\\men came, her\\coat"),
    ("<p>We know</p><p>He left</p>", "<p>We know</p><p>She left</p>"),
    ("We know <b>Him</b> well; <i>Her</i> coat", "We know <b>Her</b> well; <i>His</i> coat"),
]


@pytest.mark.parametrize(("original", "counterfactual"), [*HANDLES, *GLUED, *ESCAPES, *APOSTROPHES, *MARKS])
def test_words_are_swapped_through_marks(original, counterfactual):
    pair = swap(original)
    assert pair.counterfactual == counterfactual
    assert pair.reverse().counterfactual == original


@pytest.mark.parametrize("text", [text for pair in (*HANDLES, *GLUED, *ESCAPES, *APOSTROPHES, *MARKS) for text in pair])
def test_views_keep_every_offset(text):
    view = sentence_view(unmarked(text), code_spans(text))
    assert len(unmarked(text)) == len(view) == len(text)


def test_a_term_of_several_words_that_reaches_across_marks_is_kept():
    assert swap("_best_ _man_ won").counterfactual == "_best_ _man_ won"
    assert [term.reason for term in kept_terms("_best_ _man_ won")] == ["code"]


def test_a_long_text_without_blanks_or_sentence_ends_is_read():
    for piece in ("<b>her</b><i>his</i>", "[b]He[/b]&his", "@kim He #her ", r"\u2019she\nHe*her*", "(her)(man(a b"):
        assert swap(piece * 2000).original == piece * 2000
