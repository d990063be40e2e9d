"""Caveats show where they apply, and only there."""

from distill.evaluation.report.caveats import caveats


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
    for part in ("b: no start token", "reference model gone could not be loaded", "91 to 94 %"):
        assert part in text
