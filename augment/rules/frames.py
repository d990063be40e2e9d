"""Verb frames: whether "her" is an object on the evidence of the verb before it and the words behind it.

Words before (nearest first) and after in, the reading with the name of the frame that gives it out, or None. Most
frames are about what a possessive cannot stand before: an adverb or adjective that ends its clause, a price, a bare
second object.
"""

from augment.rules.context import PARAGRAPH, word_set
from augment.rules.pronoun_model import VERB_FRAMES

Reading = tuple[bool, str] | None

_CLAUSE_ENDS = word_set(
    """. ; : ! ? ) ” » … — – but as in on at by for from with when while if because until after before than since over
    during without so that again now today forever overnight enough too at once"""
) | {PARAGRAPH, ""}
_ENDS = _CLAUSE_ENDS | {",", "and", "or"}
_ENDS_OR_TO = _ENDS | {"to"}
# Adverbs that never stand before a noun, and those that may.
_ADVERBS = word_set("alongside ahead indoors outdoors ashore asleep alive awake aside apart away alone")
_PLACES = word_set(
    """outside upstairs downstairs abroad aboard forward forwards backward backwards overseas sometimes often twice
    inside online offline downtown uptown onstage backstage underwater overboard homeward westward eastward northward
    southward outright nearby anyway nonetheless"""
)
_IN_LY = word_set(
    """family reply ally belly folly jelly lily bully assembly butterfly monopoly supply melancholy anomaly homily
    daily elderly fly rally only gully bodily tally trolley doily panoply early lovely lonely friendly ugly silly
    holy likely deadly costly lively cowardly weekly monthly yearly heavenly sickly curly motherly fatherly kindly
    orderly leisurely shapely wily jolly sprightly worldly rightly burly surly sally molly polly dolly emily lily
    milly billy kelly nelly italy july prickly"""
)
_GIVING = word_set("give send bring offer lend show buy wish owe cost grant sell deny promise cook pour")
_THINGS = word_set(
    """water tea coffee food soup bread breakfast lunch dinner supper wine milk cake luck hope time advice flowers
    roses information strength comfort pleasure pain trouble peace joy homework help credit pictures photographs
    photos headaches presents gifts peanuts sweets chocolates medicine gas solace confidence shelter warmth
    instructions directions tickets cash money nightmares lessons jobs messages invitations details compliments bail
    custody tenure citizenship asylum access immunity refuge amnesty parole entry admission authority fame something
    nothing grief happiness sympathy satisfaction relief"""
)
_DRAWN_THINGS = word_set("pictures photographs photos drawings pages copies scenes maps samples")
_MEALS = word_set("breakfast lunch dinner supper tea coffee soup toast pancakes sandwiches drinks cocoa")
_SUBJECTS = word_set(
    """french english latin greek german italian spanish russian chinese japanese arabic hebrew welsh irish portuguese
    mathematics maths algebra geometry history geography physics chemistry biology grammar chess manners music piano
    violin singing dancing swimming sewing drawing painting cooking carpentry archery humility patience everything"""
)
_NAMING = word_set("crown elect appoint name make proclaim declare vote call")
_CALLING = word_set(
    """call called calls calling nickname nicknamed name named dub dubbed label labelled labeled brand branded christen
    christened term termed title titled proclaim proclaimed"""
)
_ROLES = word_set(
    """king queen president captain chairman chairwoman chair director leader mayor governor secretary regent bishop
    editor manager speaker treasurer guardian champion dictator emperor empress sheriff prime senator chief vice"""
)
_PREDICATIVE = word_set(
    """famous happy unhappy sad angry rich poor sick ill better worse proud ashamed jealous nervous anxious afraid
    aware responsible ready able unable uneasy tired weary hungry thirsty sleepy drunk sober mad crazy insane nuts
    wild odd strange attractive beautiful pretty clever bright stupid dull boring interesting funny pleasant rude
    polite kind unkind cold warm hot wet dry safe sorry silent quiet calm busy free eligible guilty innocent unfit
    fit unconscious dead pregnant blind deaf furious livid miserable suspicious curious popular unpopular wealthy
    bankrupt comfortable uncomfortable dependent independent senior foolish wise brave bold late early impatient
    absent present waiting guessing wanting captive hostage prisoner accountable missing unwell uneasy lonely
    friendly cowardly deadly lovely sceptical skeptical cynical bored exhausted confused worried convinced stranded
    speechless bleeding immortal weak brilliant thin pale ill hoarse giddy dizzy faint frail cross tense numb sore
    stiff still upright breathless fair unfair talented gifted capable intelligent selfish arrogant stubborn modest
    shy vain proud loyal honest sincere sensible cruel harsh strict lazy idle clumsy awkward dishonest genuine
    gentle sweet nice smart sharp witty healthy unhealthy shaken upset unsettled puzzled perplexed baffled amused
    delighted annoyed irritated enraged embarrassed humiliated disappointed frightened scared terrified starving
    naked barefoot wounded injured unhurt"""
)
_NOT_ADJECTIVES = word_set("table constable vegetable handful mouthful spoonful variable detective relative")
_MAKING = word_set(
    """make find keep leave think consider drive render set turn strike prove deem judge hold want believe"""
)
_TAKING = word_set("take takes took taken taking hold holds held keep keeps kept holding")
_TAKEN = word_set("long prisoner hostage captive seriously aback shopping dancing fishing sailing swimming responsible")
_ACTIONS = word_set(
    """dance dive swim walk run jump climb fall leave play fight turn drive cough scream cry laugh smile sneeze whisper
    sob snore talk hurry race skate ride sail stumble slip drop wave wink nod yawn shiver tremble finish practise
    practice rehearse bat bowl sprint"""
)
_SEEING = word_set("see hear watch notice observe")
_LETTING = word_set("let make help")
_FREE_AFTER = _CLAUSE_ENDS | word_set(
    """the a an all every it his him my me them their you your us our this these up down out to"""
)
_TIMES = word_set(
    """day night morning evening afternoon week weekend month year hour minute second time summer winter spring autumn
    monday tuesday wednesday thursday friday saturday sunday single other few two three four once now moment instant
    alternate quarter thing christmas"""
)
_QUANTITIES = word_set("millions billions thousands hundreds dozens plenty lots loads half double nothing")
_SPANS = word_set("ages hours days weeks months years minutes seconds forever years' decades")
_LAST = word_set(
    """night week month year spring summer autumn winter fall monday tuesday wednesday thursday friday saturday sunday
    christmas easter january february march april may june july august september october november december"""
)
_IN_HER_LAST = word_set(
    """in during for of until from on since throughout spent spend spending enjoyed began finished entering at is was"""
)
_WITH_EVERY = word_set("give do wish show offer deny grant promise")
_PAID = word_set("cost owe pay earn win save lose fine charge give offer bring lend leave")
_WISHES = word_set(
    """good happy merry well ill every happiness success joy farewell nothing luck goodnight goodbye adieu"""
)
_DONE = word_set("justice harm good credit homage wrong honour honor")
_TOLD = word_set("lies stories jokes tales questions riddles names")
_CARRIED = word_set("take takes took taken taking bring brings brought bringing carry carries carried carrying")
_HELD_WITH = word_set("left right bare two both hands hand teeth fingers eyes arms lips mouth whole full usual")
_BEATING = word_set("beat beats beating beaten defeated defeating confirmed elected trounced thrashed")
_BE = word_set("was were been being be is are got")
_ALL_BUT = word_set("one nobody everyone everybody anyone anybody else")
_ONCE = word_set(
    """husband wife boyfriend girlfriend boss employer manager fiancé fiancée partner agent lover producer coach record
    home teenage new current three"""
)
_PRICES = word_set("dollars pounds euros cents pence francs percent million thousand")


def her_frame(before: list[str], after: list[str]) -> Reading:
    """(whether the pronoun is an object, the frame), or None when the words around do not settle it."""
    frame, verb = VERB_FRAMES.get(before[0]) or ("", before[0])
    if before[0] == "but" and before[1] in _ALL_BUT and (after[0] in _VERBS or after[0][-2:] == "ed"):
        return True, "all but"
    nearest = after[0]
    reading = None
    if nearest in _COUNTING or nearest[:1].isdigit():
        reading = _quantified(before[0], verb, after)
    reading = reading or _ended(frame, verb, after)
    if reading or not (frame or before[0] in _OTHER_VERBS):
        return reading
    if before[1] == "she" and verb in _GIVING and nearest in _THINGS and after[1] in ("to", "away"):
        return False, "the giver's own"
    # "She gave her money to charity", "was given her first command": the owner is the giver or the subject.
    passive = before[1] in _BE and before[0][-3:] != "ing"
    if before[1] != "she" and before[2] != "what" and not passive:
        reading = _second_object(frame, verb, before, after) or _given(before[0], verb, after)
    return reading or _action(before[0], verb, after)


_COUNTING = frozenset({"every", "all", "then", "last"}) | _SPANS | _QUANTITIES


def _quantified(before: str, verb: str, after: list[str]) -> Reading:
    """every, all and then behind the pronoun belong to it or to the noun that follows."""
    nearest, second, _ = after
    if nearest == "every":
        of_time = second in _TIMES or verb in _WITH_EVERY
        return (True, "every with an adverb") if of_time else (False, "every with a noun")
    if nearest == "all" and (verb in ("give", "put") or before == "it") and (second in _ENDS_OR_TO or second == "into"):
        return False, "her all"
    if nearest == "then" and second in _ONCE:
        return False, "then with a noun"
    if nearest == "last" and before not in _IN_HER_LAST and second in _LAST:
        return True, "adverb of time"
    if nearest in _SPANS and before in _TAKING and second in _ENDS_OR_TO:
        return True, "second object"
    if nearest in _QUANTITIES and verb in _PAID and (second in _ENDS_OR_TO or second == "of"):
        return True, "second object"
    if nearest[:1].isdigit() and before in _BEATING and second in ("-", "–", "to"):
        return True, "a score follows"
    return None


def _ended(frame: str, verb: str, after: list[str]) -> Reading:
    """An adverb or a complement of the object that ends its clause."""
    nearest, second = after[0], after[1]
    if nearest in _ADVERBS and second not in ("and", "or"):
        return True, "adverb ends the clause"
    if second not in _ENDS_OR_TO:
        return None
    if nearest in _PLACES and second not in ("and", "or"):
        return True, "adverb ends the clause"
    if nearest[-2:] == "ly" and nearest not in _IN_LY:
        return True, "adverb ends the clause"
    if nearest[-4:] == "less" and frame in ("becomes", "infinitive"):
        return True, "object complement"
    joined = second in (",", "and", "or")
    joined = joined and not (verb in ("make", "drive", "render") or after[2] in _PREDICATIVE)
    if verb in _MAKING and not joined and (nearest in _PREDICATIVE or _has_adjective_ending(nearest)):
        return True, "object complement"
    if verb in _TAKING and nearest in _TAKEN:
        return True, "object complement"
    if (verb in _NAMING and nearest in _ROLES) or (verb in ("placed", "ranked", "rated") and nearest in _ORDINALS):
        return True, "object complement"
    return None


_ORDINALS = word_set("first second third fourth fifth last")


def _has_adjective_ending(word: str) -> bool:
    return (word[-3:] in ("ous", "ful") or word[-4:] in ("able", "ible")) and word not in _NOT_ADJECTIVES


def _given(before: str, verb: str, after: list[str]) -> Reading:
    """What is brought, granted, borne, or measured in units, and what somebody is appointed."""
    nearest, second, third = after
    if nearest in _GAINS and (before in _BRINGING or verb in ("give", "grant", "promise")):
        return True, "second object"
    if nearest in _MUCH and before in _BRINGING_ONLY:
        return True, "second object"
    if before in _AWARDING and nearest not in _DETERMINED:
        return True, "second object"
    measured = second in _UNITS and third != "'" and (verb in _PAID or before in _METED)
    if (nearest in _NUMBERS or nearest.isdigit()) and (measured or before in ("bore", "borne", "bears")):
        return True, "second object"
    if before in _APPOINTING and second in _AFTER_OFFICE and nearest not in _KIN_AND_AIDES and nearest[-1:] != "s":
        return True, "object complement"
    if before in _PRONOUNCING and (nearest in _PREDICATIVE or nearest in _VERDICTS):
        return True, "object complement"
    return None


_BRINGING_ONLY = word_set(
    """brought brings bringing earned earns earning gained gains gaining gain won wins winning bring earn win"""
)
_BRINGING = _BRINGING_ONLY | word_set("secured secures guaranteed guarantees assured caused causes cause")
_GAINS = word_set(
    """fame recognition riches wealth notoriety prestige acclaim prominence immortality clemency amnesty stardom
    popularity promotion awards prizes misfortune eminence happiness luck trouble applause plaudits celebrity
    fortune praise"""
)
_MUCH = word_set(
    """international national widespread lasting great considerable critical much instant worldwide wide immense
    eternal enormous universal some another several a an the"""
)
_AWARDING = word_set("awarded award awards awarding accorded accord accords")
_DETERMINED = word_set(
    """own first request requests offer offers invitation invitations entire whole prize medal nobel degree diploma
    certificate doctorate phd"""
)
_NUMBERS = word_set("two three four five six seven eight nine ten eleven twelve fifteen twenty thirty fifty")
_UNITS = word_set(
    """shillings pounds dollars pence cents euros days weeks months years hours minutes seconds options choices reasons
    warnings points chances miles tickets options percent"""
)
_METED = word_set("suspended banned sentenced took takes take taking allowed allows leaves left leaving gives gave")
_APPOINTING = word_set("appointed appointing appoint appoints reappointed elected re-elected")
_AFTER_OFFICE = word_set("of to for in at on . , ; after until when as and")
_KIN_AND_AIDES = word_set(
    """husband wife son daughter brother sister father mother nephew niece cousin uncle aunt friend deputy successor
    heir cabinet own assistant representative team staff eldest younger first new former only"""
)
_PRONOUNCING = word_set(
    """pronounced pronounces pronounce declared declares declare proclaimed proclaim certified adjudged ruled"""
)
_VERDICTS = word_set(
    """deceased winner victor fit insane sane legitimate illegitimate outlaw heir emperor empress venerable"""
)


def _second_object(frame: str, verb: str, before: list[str], after: list[str]) -> Reading:
    """A second object without an article, or the object of "with" between a verb and its object."""
    nearest, second = after[0], after[1]
    if second in _ENDS:
        if verb in _GIVING and nearest in _THINGS:
            return True, "second object"
        if verb in ("make", "fetch", "order") and nearest in _MEALS:
            return True, "second object"
        if (verb == "do" and nearest in _DONE) or (verb in ("tell", "ask", "call") and nearest in _TOLD):
            return True, "second object"
    if (
        verb in ("give", "grant", "deny", "refuse")
        and nearest in ("permission", "leave", "authority")
        and second == "to"
    ):
        return True, "second object"
    if verb in ("show", "send") and nearest in _DRAWN_THINGS and second == "of":
        return True, "second object"
    if verb in ("ask", "tell") and nearest in _TOLD and second in ("about", "of"):
        return True, "second object"
    if verb in ("wish", "bid") and nearest in _WISHES:
        return True, "second object"
    title = nearest in _ROLES or (verb not in ("make", "call", "vote") and nearest not in _KIN_AND_AIDES)
    if verb in _NAMING and title and second == "of":
        return True, "object complement"
    if frame == "two objects" and (nearest in ("$", "£", "€") or (nearest[:1].isdigit() and second in _PRICES)):
        return True, "second object"
    if verb == "teach" and nearest in _SUBJECTS and (second in _ENDS or nearest in _LANGUAGES):
        return True, "second object"
    if before[0] in _CALLING and nearest in ('"', "“", "‘"):
        return True, "object complement"
    if before[0] == "with" and before[1] in _CARRIED and nearest not in _HELD_WITH:
        return True, "object of with"
    return None


_LANGUAGES = word_set("french english latin greek german italian spanish russian chinese japanese arabic hebrew")


def _action(before: str, verb: str, after: list[str]) -> Reading:
    """A bare infinitive that could also be a noun, behind a verb of perception or causation."""
    if before in _CATCHING and after[0][-3:] == "ing" and len(after[0]) > 5:
        return True, "participle"
    free = after[1] in _FREE_AFTER
    if verb == "watch" and (after[0] in _WATCHED or after[0] in _ACTIONS) and (free or after[1][-2:] == "ed"):
        return True, "bare infinitive"
    acts = after[0] in _INFINITIVES or (after[0] in _ACTIONS and free)
    return (True, "bare infinitive") if acts and (verb in _SEEING or verb in _LETTING) else None


_CATCHING = word_set("catch caught catches catching overheard spotted overhear")
_WATCHED = word_set("paint cook work dress sleep eat study draw fish struggle rush pack train exercise perform operate")
_INFINITIVES = word_set(
    """maintain resist understand find get become keep see hear do go come eat sit stand sing speak say tell take make
    give put bring carry hold grow win lose choose decide learn teach think know feel believe remember forget
    realize realise realise obtain achieve acquire avoid accept admit agree apply arrive bake become begin behave
    build buy cope cross deal deliver deny earn enter establish explain find follow gain improve join kill lay lie
    live make manage marry meet overcome pack pay persuade pick prepare prove pursue pull push quit raise reach read
    recover relax remain reply retain secure seem select sell send settle shine solve spell start stay stop succeed
    survive swear throw translate unpack wait weep write wear wash work"""
)
_INFINITIVES -= word_set("work stand lie live start stay wash wear wait reply read cross pick push pull")


# Words before the pronoun, besides the verbs of VERB_FRAMES, with which a frame can begin.
_OTHER_VERBS = (
    _CALLING | _BRINGING | _AWARDING | _METED | _APPOINTING | _PRONOUNCING | _CATCHING | _TAKING | _GIVING | _NAMING
) | word_set("with fetch order refuse bore borne bears")


def name_frame(before: list[str], after: list[str]) -> Reading:
    """The reading before a capitalised word: "Tell her Tom called", "They called her Maggie."."""
    _, verb = VERB_FRAMES.get(before[0]) or ("", before[0])
    if after[0] in _NOT_NAMES or after[0][-3:] in ("ish", "ese", "ian", "can") or after[0].endswith("'s"):
        return None
    if verb in ("tell", "remind", "reminded", "assure", "assured", "inform", "informed", "convince", "convinced"):
        return (True, "a clause follows") if after[1][-2:] == "ed" or after[1] in _VERBS else None
    if verb in ("make", "crown") and not _APPEARANCES & set(after):
        return True, "object complement"
    if before[0] in _APPOINTING or (before[0] in _CALLING and after[1] in _ENDS):
        return True, "object complement"
    return None


_VERBS = word_set(
    """is was has had will would can could may might should did does came went said got left knew made took wants needs
    likes loves lives works sent gave won lost understood heard saw thought felt ran spoke stood told found wrote"""
)
_APPEARANCES = word_set("debut appearance bow entrance television film home christmas own last first way")
_NOT_NAMES = word_set(
    """majesty highness grace uncle aunt father mother mom mum dad sister brother grandma grandpa god lord lady
    christian french dutch english greek"""
)
