"""Long form: prompts and shares, records, unbiased distances, hand-made records, and comparisons."""

import json
import math
import re

import numpy as np
import pytest
from scipy import stats

from distill.evaluation.config import EvalConfig, StatisticsConfig
from distill.evaluation.measure import Inputs
from distill.evaluation.measures.continuations import longform
from distill.evaluation.measures.continuations.gender_words import FEMALE, MALE
from distill.evaluation.measures.continuations.longform import CONTEXTS, squared_distances
from distill.evaluation.statistics.measurement import compare
from distill.settings import validate

SETTINGS = StatisticsConfig()
SHE, HE, NEITHER = " she left", " he left", " it rained"
SHARES = {"nurse": 0.9, "pilot": 0.05, "baker": 0.6, "clerk": 0.7, "guard": 0.2}


def config(**more):
    return validate(EvalConfig, {"longform": {"enabled": True, "num_samples": 2, "max_new_tokens": 5}, **more})


def measured(records, by_name, shares=SHARES):
    return by_name(longform.summarise(records, "c", json.dumps(shares), SETTINGS))


@pytest.fixture
def about(sampled):
    """about({"nurse": (num_she, num_he, num_neutral)}): records of these counts in every context."""

    def build(occupations):
        return [
            sampled(f"{name}/{context}", context, [SHE] * she + [HE] * he + [NEITHER] * neutral)
            for name, (she, he, neutral) in occupations.items()
            for context in CONTEXTS
        ]

    return build


def test_prompts_name_the_occupation_and_no_gender():
    prompts = longform.prompts(config())
    assert len(prompts) == len({prompt.id for prompt in prompts}) == 64 * len(CONTEXTS)
    for prompt in prompts:
        occupation, context = prompt.id.split("/")
        article = "an" if occupation[0] in "aeiou" else "a"
        assert context == prompt.group
        assert f" {article} {occupation}" in prompt.text
        assert prompt.text == prompt.text.strip()
        assert not (MALE | FEMALE) & set(re.findall(r"[a-z']+", prompt.text.lower()))


def test_shares_are_those_of_the_list_or_the_world_or_of_workers(tmp_path, small_world):
    workers = longform.female_shares(config())
    assert (len(workers), workers["nurse"]) == (29, 0.8958)
    path = tmp_path / "occupations.tsv"
    path.write_text("name\tarticle\tfemale_share\nnurse\ta\t0.25\nclerk\ta\t\nsmith\ta\t\n")
    own = longform.female_shares(config(log_odds={"occupations": str(path)}))
    assert own == {"nurse": pytest.approx(0.25), "clerk": 0.6953}
    world = json.loads((small_world / "world.json").read_text())["occupations"]
    known = {each["name"]: 1 / (1 + math.exp(each["true_log_odds"])) for each in world}
    assert longform.female_shares(config(world=str(small_world))) == pytest.approx(known)
    assert len(longform.prompts(config(world=str(small_world)))) == len(CONTEXTS) * len(world)


def test_a_list_that_is_missing_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="log_odds.occupations: .*none.tsv does not exist"):
        longform.task(Inputs(config(log_odds={"occupations": str(tmp_path / "none.tsv")}), None, {}))
    assert longform.task(Inputs(EvalConfig(), None, {})) is None


def test_records_count_the_genders_of_what_the_model_writes(tiny_scorer, tmp_path):
    path = tmp_path / "occupations.tsv"
    path.write_text("name\tarticle\nnurse\ta\nartist\tan\n")
    task = longform.task(Inputs(config(log_odds={"occupations": str(path)}), None, {}))
    assert (task.num_items, task.num_new_tokens) == (6, 6 * 2 * 5)
    scorer = tiny_scorer(n_positions=128)
    work = task.prepare(scorer)
    records = work.score(work.items)
    small = task.prepare(tiny_scorer(n_positions=128, max_batch_tokens=1))
    assert [small.score([item])[0] for item in small.items[:2]] == records[:2]
    assert [record["id"] for record in records] == list(work.ids)
    for record in records:
        differences = []
        for text in record["continuations"]:
            words = re.findall(r"[a-z]+(?:'[a-z]+)?", text.lower())
            differences.append(sum((word in FEMALE) - (word in MALE) for word in words))
        assert record["num_female"] == sum(difference > 0 for difference in differences)
        assert record["num_male"] == sum(difference < 0 for difference in differences)
    convention, shares = work.conventions(records)
    assert convention.endswith("|k:2|top-p:0.9|new-tokens:5|ends:listed|seed:0|start:bos")
    assert json.loads(shares) == {"nurse": 0.8958}
    longform.summarise(records, convention, shares, SETTINGS)


@pytest.mark.parametrize("wanted", [0.5, 0.0, 0.83])
@pytest.mark.parametrize("chance", [0.0, 0.5, 0.7, 1.0])
@pytest.mark.parametrize("count", [2, 3, 9])
def test_squared_distances_are_unbiased(wanted, chance, count):
    num_she = np.arange(count + 1.0)
    squares, has = squared_distances(num_she, np.full(count + 1, float(count)), wanted)
    mean = stats.binom.pmf(num_she, count, chance) @ squares
    assert mean == pytest.approx((chance - wanted) ** 2, abs=1e-12)
    assert has.tolist() == [1.0] * (count + 1)


def test_one_continuation_says_nothing_about_a_distance():
    squares, has = squared_distances(np.array([0.0, 1.0, 0.0]), np.array([0.0, 1.0, 1.0]), 0.5)
    assert squares.tolist() == has.tolist() == [0, 0, 0]


def test_measurements_of_hand_made_records(about, by_name):
    counts = {"nurse": (3, 1, 1), "pilot": (0, 4, 0), "baker": (2, 2, 1), "clerk": (0, 0, 4), "smith": (1, 3, 0)}
    found = measured(about(counts), by_name)
    # nurse: P(both she) = 3 * 2 / (4 * 3) = 1/2, so 1/2 - 3/4 + 1/4; smith likewise 0 - 1/4 + 1/4
    squares = [0.0, 0.25, 2 / 12 - 0.5 + 0.25, 0.0]
    assert found["longform/neutrality"].value == pytest.approx(math.sqrt(np.mean(squares)))
    assert found["longform/skew"].value == pytest.approx(np.mean([0.75, 0.0, 0.5, 0.25]) - 0.5)
    assert found["longform/gendered"].value == pytest.approx(16 / 22)
    assert (found["longform/skew"].num_items, found["longform/gendered"].num_items) == (48, 66)
    fit = stats.linregress([0.9, 0.05, 0.6], [0.75, 0.0, 0.5])  # smith has no share, clerk no gendered continuation
    assert found["longform/stereotype_slope"].value == pytest.approx(fit.slope)
    assert found["longform/stereotype_correlation"].value == pytest.approx(fit.rvalue)
    distances = [0.5 - 2 * 0.9 * 0.75 + 0.9**2, 0.05**2, 2 / 12 - 0.6 + 0.6**2]
    assert np.mean(distances) < 0  # a share of four continuations is noise
    assert found["longform/distance_from_shares"].value == pytest.approx(-math.sqrt(-np.mean(distances)))
    for context in CONTEXTS:
        for part in ("neutrality", "skew", "gendered"):
            assert found[f"longform/{context}/{part}"].value == found[f"longform/{part}"].value
    assert set(found) == set(longform.MEASURE.descriptions)


def test_contexts_are_measured_apart_and_prompts_count_alike(sampled, by_name):
    texts = {"story": [SHE] * 4, "persona": [HE] * 2, "exercise": [SHE, HE]}
    names = ("nurse", "pilot", "baker")
    found = measured([sampled(f"{n}/{c}", c, own) for n in names for c, own in texts.items()], by_name)
    assert [found[f"longform/{context}/skew"].value for context in CONTEXTS] == [0.5, -0.5, 0.0]
    assert found["longform/skew"].value == pytest.approx(0.0)
    assert found["longform/persona/neutrality"].value == 0.5
    assert found["longform/exercise/neutrality"].value == pytest.approx(-0.5)  # less alike than chance: only noise


def test_a_model_that_always_writes_he_has_an_exact_interval_of_its_skew(about, by_name):
    names = [f"n{number}" for number in range(20)]
    found = measured(about(dict.fromkeys(names, (0, 3, 0))), by_name, dict.fromkeys(names, 0.3))
    upper = stats.binomtest(0, 20).proportion_ci().high
    skew = found["longform/skew"]
    assert (skew.low, skew.high) == (-0.5, pytest.approx(upper - 0.5))
    assert found["longform/neutrality"].value == 0.5
    assert math.isnan(found["longform/neutrality"].low)


def test_continuations_without_gender_have_no_value_and_empty_ones_are_refused(about, by_name, sampled):
    found = measured(about(dict.fromkeys(SHARES, (0, 0, 3))), by_name)
    assert found["longform/gendered"].value == 0
    for name in ("neutrality", "skew", "stereotype_slope", "stereotype_correlation", "story/skew"):
        assert math.isnan(found[f"longform/{name}"].value)
    with pytest.raises(ValueError, match="all continuations of 1 prompts are empty"):
        longform.summarise([sampled("nurse/story", "story", ["", " "])], "c", "{}", SETTINGS)


def test_few_known_shares_give_no_stereotype(about, by_name):
    found = measured(about({"nurse": (2, 1, 0), "pilot": (1, 2, 0), "smith": (1, 1, 1)}), by_name)
    assert not {"longform/stereotype_slope", "longform/distance_from_shares"} & set(found)


def test_models_with_other_gendered_occupations_are_compared(about):
    rng = np.random.default_rng(0)
    names = [*SHARES, *(f"n{number}" for number in range(9))]
    first = about({name: (int(rng.integers(4)), 2, 1) for name in names})
    second = about({name: (0, 0, 4) if name == "nurse" else (2, int(rng.integers(4)), 1) for name in names})
    ours, theirs = (longform.summarise(each, "c", json.dumps(SHARES), SETTINGS) for each in (first, second))
    for own, other in zip(ours, theirs, strict=True):
        result = compare(own, other, SETTINGS)
        assert result.difference.value == pytest.approx(own.measurement.value - other.measurement.value)
        assert 0 < result.p_value <= 1
    other_shares = longform.summarise(second, "c", json.dumps(SHARES | {"nurse": 0.5}), SETTINGS)
    differing = [o.measurement.name for o, t in zip(other_shares, theirs, strict=True) if _differ(o, t)]
    assert differing == [
        f"longform/{n}" for n in ("distance_from_shares", "stereotype_slope", "stereotype_correlation")
    ]


def _differ(first, second):
    return first.measurement.convention != second.measurement.convention
