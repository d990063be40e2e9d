"""How her and his are read from their context: rules, frames, the model, and its training by self-supervision."""

import re
from pathlib import Path

import pytest

from augment.__main__ import main
from augment.lexicon import WEIGHTS_DIR
from augment.rules.fit_pronouns import collect, fit, save_model
from augment.rules.frames import her_frame
from augment.rules.pronoun_model import HashedModel, hashes, load_model
from augment.rules.pronouns import her_is_object, his_is_absolute
from augment.rules.tokens import words_after, words_before


def reading(text: str) -> bool:
    """Whether the pronoun in angle brackets is read as an object (her) or as absolute (his)."""
    marked = re.search("<(her|his)>", text, re.IGNORECASE)
    assert marked
    start, end = marked.start(), marked.end() - 2
    plain = text[:start] + marked.group(1) + text[marked.end() :]
    decide = her_is_object if plain[start:end].lower() == "her" else his_is_absolute
    value, confidence, rule = decide(plain, start, end)
    assert 0.5 <= confidence <= 1
    assert rule.startswith(plain[start:end].lower())
    return value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I saw <her>.", True),
        ("I saw <her> car.", False),
        ("I met <her> several years ago.", True),
        ("I met <her> several brothers.", False),
        ("The noise keeps <her> toned down.", True),
        ("Remember <her> selling the bikes?", True),
        ("watch <her> blame the dog", True),
        ("a picnic with <her> three small sons", False),
        ("we missed <her> too and I cried", True),
        ("<her> too tight shoes", False),
        ("I looked <her> dead in the eye", True),
        ("I want to be like <her> maybe", True),
        ("off with <her> 'lucky' hat on", False),
        ("in <her> 3D glasses", False),
        ("take it with <her> three sons there", False),
        ("a snap of <her> feeding the ducks", True),
        ("a snap of <her> wedding", False),
        ("I liked <her> reading the news", True),
        ("I liked <her> reading.", False),
        ("We broke into <her> and Tom's flat", False),
        ("I met <her> and Tom at noon", True),
        ("<Her> and Tom were late", True),
        ("It gave <her> courage to leave", True),
        ("They call <her> phone to check", False),
        ("We hope to see <her> soon.", True),
        ("meet <her> soon-to-be boss", False),
        ("I hate <her> **** dog", False),
        ("he broke <his> ****", False),
        ("nobody likes <her> lazy ass cat", False),
        ("find <her> cause imma need a lift", True),
        ("we give <her> props for that", True),
        ("Ask <her> if it's true.", True),
        ("<Her> own house", False),
        ("I was mean to <her> rn and I regret it", True),
        ("so glad for <her> (2/5)", True),
        ("miss <her> hahahaha", True),
        ("I like <her> sooo much", True),
        ("say hi to <her> x", True),
        ("saw <her> wen we were kids", True),
        ("dedicated to <her> 4 ever and a day", False),
        ("do this with <her> 4 me", True),
        ("I trust <her> cause she listens", True),
        ("We admire <her> cause and her courage", False),
        ("just text <her> first and wait", True),
        ("Ask <her> first teacher", False),
        ("The pup was given <her> first bath", False),
        ("a photo of <her> surfing in Spain", True),
        ("a photo of <her> wedding in Spain", False),
        ("look at <her> dancing with the dog", True),
        ("look at <her> climbing plants", False),
        ("that song will get <her> pumped up", True),
        ("Those drinks got <her> wasted.", True),
        ("i follow <her> tweets", False),
        ("Love <her> show.", False),
        ("They made <her> sing, dance and cry", True),
        ("He asked about <her> 30 years of service", False),
        ("They left <her> penniless.", True),
        ("They charged <her> $500.", True),
        ("Who taught <her> French?", True),
        ("They elected <her> president in May.", True),
        ("No one but <her> knew.", True),
        ("I praised <her> warmly.", True),
        ("I met <her> family.", False),
        ('Look at <her> "@kim: good day"', True),
        ('Look at <her> "Good Day" video', False),
        ("I trust <her> anyways , so", True),
        ("is he over <her> ex yet", False),
        ("I want <her> dressed warmly", True),
        ("They need <her> moved to London.", True),
        ("They need <her> trained staff.", False),
        ("<Her>, her keys", False),
        ("I saw <her>, her dog barked", True),
        ("Ask him or <her> about it.", True),
        ("This is his or <her> book.", False),
        ("Let <her> go.", True),
        ("The coach considered <her> talented.", True),
        ("She gave <her> money to charity.", False),
        ("They gave <her> money for food.", True),
        ("He was given <her> new address.", False),
        ("The crew watched <her> every move.", False),
        ("I see <her> every morning.", True),
        ("She gave it <her> all.", False),
        ("I met <her> then husband.", False),
        ("We watched <her> dance all night.", True),
        ("Tell <her> Maria called.", True),
        ("They called <her> Betty.", True),
        ("The queen bore <her> three sons.", True),
        ("It took <her> years to learn.", True),
        ("The judge denied <her> bail.", True),
        ("They made <her> CEO.", True),
        ("They saw <her> last night.", True),
        ("It was in <her> last year.", False),
        ("They went to [<her>] house.", False),
        ("She lost <her> keys.", False),
        ("<p>Nobody told <her></p><p>Then", True),
        ("They fear <i><her></i>!", True),
        ("Who hired **<her>** last May?", True),
        ("I borrowed <b><her></b> ladder.", False),
        ("Miss <her> 🥲🥲", True),
        ("so proud of <her> #mygirl #nofilter", True),
        ("so proud of <her> #newjob today", False),
        ("just met <her> @newscafe", True),
        ("I can't stand <her> &amp; never could", True),
        ("cannot stand <her> tbh", True),
        ("call <her> bc im busy", True),
        ("\\emph{<her>} notes", False),
        ("I saw <her>\u200b.", True),
        ("We visited <her> Friday.", True),
        ("We covered <her> Friday shift.", False),
        ("She spent <her> Sunday in bed.", False),
        ("They hugged <her> goodnight.", True),
        ("I lent <her> Peter's bike.", True),
        ("They threw <her> another.", True),
        ("Tell <her> nothing's broken.", True),
        ("The pay of those before <her> seems low.", True),
        ("We will watch <her> performance.", False),
        ("He drove <her> long-suffering assistant mad.", False),
        ("We heard <her> describe it.", True),
        ("PLEASE PHONE <HER> AUNT.", False),
        ("Come with his or <her>.", False),
        ("Sing to <her>/who never sang", True),
        ("(she/<her>/hers)", True),
        ("she/her/<her>/hers", False),
        ("<her>/their flat", False),
        ("We visit <her> Christmas Eve.", True),
        ("She spent <her> Christmas Eve alone.", False),
        ("They drove <her> home after work.", True),
        ("They painted <her> home in May.", False),
        ("i blocked <her> ngl", True),
        ("It made <her> apologetic.", True),
        ("THEY NAMED <HER> ANNA.", True),
        ("Phone <her> dad.", False),
        ("The crowd cheered <her> [applause].", True),
        ("Someone hit <her> {gasps}", True),
        ("We saw <her> [3] and left", True),
        ("She hid <her> [worn] and torn coat", False),
        ("I bet <her> fifty quid that it rains", True),
        ("The guests tipped <her> twenty pesos", True),
        ("He bet <her> $5", True),
        ("I bet <her> two cats are asleep", False),
        ("Clerk Tells <Her> Landlord The Truth", False),
        ("We told <her> manager everything", False),
        ("They christened the boat and named <her> Grace.", True),
        ("I called <her> ex twice.", False),
        ("The champion thrashed <her> 6-2 today", True),
        ("She beat <her> 40-year-old rival.", False),
        ("We all listened to <her> recite it.", True),
        ("Everybody listens to <her> humming at noon", True),
        ("I listened to <her> rambling, endless story.", False),
        ("The host served <her> wine.", True),
        ("Mum cooked <her> Italian food.", True),
        ("They bring <her> breakfast at eight.", True),
        ("She cooked <her> breakfast and left.", False),
        ("They served <her> signature soup.", False),
        ("My admiration for <her> never wanes.", True),
        ("Our trust in <her> always was great.", True),
        ("Despite <her> always cheerful face we left.", False),
        ("Please massage <her> back.", False),
        ("The vet examined <her> back with care.", False),
        ("They prescribed <her> insulin.", True),
        ("They prescribed <her> usual dose.", False),
        ("I waved <her> back.", True),
        ("miss <her> 4eva", True),
        ("i still like <her> tbqh", True),
        ("They paid <her> (twice) last week.", True),
        ("They kept <her> (once) lovely boat.", False),
        ("Nobody showed <her> mercy.", True),
    ],
)
def test_her(text: str, expected: bool) -> None:
    assert reading(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The book is <his>.", True),
        ("<His> is red.", True),
        ("<His> car is red.", False),
        ("A friend of <his> came.", True),
        ("The roof of <his> house leaks.", False),
        ("a copy of <his> used car", False),
        ("It was <his> and her idea.", False),
        ("All of <his> friends came.", False),
        ("The choice was <his> to make.", True),
        ("The decision is <his> and his alone.", True),
        ("The car was <his> but it broke.", True),
        ("A dog of <his> barks all night.", True),
        ("<His> after years were calm.", False),
        ("All [<his>] friends came.", False),
        ("he/him/<his>", True),
        ("he/him/<his>/his/himself", False),
        ("he/<his>", False),
        ("<his> or her", False),
        ("We cheered for <his> #team today", False),
        ("That bike of <his> #cycling", True),
        ("We liked <his> better.", True),
        ("I trust <his> less, frankly.", True),
        ("You need <his> more than mine.", True),
        ("<His> better judgement won.", False),
        ("with <his> more or less clean shirt", False),
    ],
)
def test_his(text: str, expected: bool) -> None:
    assert reading(text) is expected


def test_words_around() -> None:
    text = "One. Two three HER four's, five six"
    start = text.index("HER")
    assert words_before(text, start) == ["three", "two", "."]
    assert words_after(text, start + 3) == ["four's", ",", "five"]
    assert words_after("her", 3) == ["", "", ""]


def test_frames_leave_possessives_alone() -> None:
    assert her_frame(["saw", "i", ""], ["family", ".", ""]) is None
    assert her_frame(["paid", "they", ""], ["50", "employees", "."]) is None


def test_model_file_round_trip(tmp_path: Path) -> None:
    model = HashedModel(bytes([128, 129, 0, 255]), 0.5, -1.25)
    save_model(model, tmp_path / "m.bin")
    assert load_model(tmp_path / "m.bin") == model
    before, after = ["saw", "i", ""], ["go", ".", ""]
    total = sum(model.weights[h & 3] - 128 for h in hashes(before, after))
    assert model.probability(before, after) == pytest.approx(1 / (1 + 2.718281828459045 ** -(0.5 * total - 1.25)))
    (tmp_path / "bad.bin").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="not a weights file"):
        load_model(tmp_path / "bad.bin")
    with pytest.raises(FileNotFoundError, match="python -m augment fit"):
        load_model(tmp_path / "absent.bin")


def test_shipped_weights_are_small() -> None:
    assert sum(path.stat().st_size for path in WEIGHTS_DIR.iterdir()) < 1_000_000


def test_fit_learns_from_raw_text_and_repeats_itself(tmp_path: Path) -> None:
    texts = ["I saw him today. That is his house. They gave him soup. We love his songs. My hat is mine."] * 40
    assert fit(texts, tmp_path / "a") == {"her": 200, "his": 80}
    fit(texts, tmp_path / "b")
    for name in ("her.bin", "his.bin"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    model = load_model(tmp_path / "a" / "her.bin")
    assert model.probability(["saw", "i", "."], ["today", ".", "that"]) > 0.9
    assert model.probability(["is", "that", "."], ["house", ".", "they"]) < 0.1


def test_free_labels() -> None:
    found = collect(["He saw him; his dog; me and my US cat"], "her")
    assert list(found.labels) == [1, 0, 1, 0]
    assert list(found.groups) == [0, 0, 1, 1]


def test_fit_refuses_text_without_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus = tmp_path / "c.txt"
    corpus.write_text("Nothing to learn from.\n", encoding="utf-8")
    assert main(["fit", str(corpus), "--out", str(tmp_path / "w")]) == 1
    assert "too few free labels" in capsys.readouterr().err
    assert not (tmp_path / "w").exists()
