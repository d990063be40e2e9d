"""Caveats show where they apply, and only there."""

from distill.evaluation.report.caveats import cannot_say, caveats


def test_a_model_at_chance_is_named(entry, results):
    accuracy = "bbq/gender_identity/right_person"
    guessing, above = entry(accuracy, low=0.49, high=0.53), entry(accuracy, model="a", low=0.51, high=0.7)
    named = [line for line in caveats(results([above, guessing])) if "above chance" in line]
    assert named == [f"b is not clearly above chance in {accuracy}: what this task says about its bias means little."]


def test_caveats_show_only_where_they_apply(entry, results):
    plain = caveats(results([entry(model="a"), entry()]))
    assert not any("tokenizers" in line or "no width" in line or "clusters:" in line for line in plain)
    assert any("over all 1 comparisons" in line for line in plain)
    assert not any("Holm" in line for line in caveats(results([entry(model="a")], family_size=0)))
    special = results([entry(model="a", low=0.5, high=0.5, num_clusters=5), entry("log_odds/spread")])
    special["models"][1] |= {"tokenizer": "u", "num_pronoun_tokens": [3, 4], "start_token": None}
    special["reference"] = "gone"
    text = " ".join(caveats(special))
    for part in ("different tokenizers", "no width (log_odds/mean_abs)", "Fewer than 30 clusters", "For b a pronoun"):
        assert part in text
    for part in ("b: no start token", "reference model gone could not be loaded"):
        assert part in text
    assert "91 to 94 %" in " ".join(cannot_say(special))


def test_the_criticism_of_all_measures_and_of_those_measured_is_said(entry, results):
    plain = cannot_say(results([entry()]))
    for part in ("arXiv 2402.12649). Long text was not measured here.", "arXiv 2509.04373", "a lexical perturbation"):
        assert any(part in line for line in plain)
    assert not any("Blodgett" in line for line in plain)
    assert any("Read the long-form numbers first." in line for line in cannot_say(results([entry("longform/skew")])))
    published = cannot_say(results([entry("crows_pairs/bias-bench/gender"), entry("stereoset/gender/icat")]))
    assert sum("Blodgett et al. 2021" in line for line in published) == 1
