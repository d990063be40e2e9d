"""The pages of a study on results with a known answer."""

import dataclasses
import json

import pytest
import yaml

from study import numbers, report, tables
from study.results import Measure, Results, load


@pytest.fixture
def results(planted, tmp_path) -> Results:
    path = tmp_path / "results" / "planted.json"
    path.parent.mkdir()
    path.write_text(json.dumps(planted))
    return load(path)


def rows_of(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]


def test_a_page_shows_what_was_planted(results):
    text = report.study_page(results, [results])
    rows = rows_of(text)
    settings, values, differences = (row for row in rows if row[0] == "good")
    assert settings == ["good", "`a=1`"]
    assert values[1:4] == ["2", *[values[2]] * 2] and values[3] == "80.0 [80.0, 80.0]"
    assert differences[2] == "< 0.001" and differences[-1] == "yes"  # a lower cost is not inferior
    cost = results.measures["log_perplexity/token-stride"]
    assert differences[3] == numbers.cell(numbers.change_percent(cost, "good", "plain"), 2)
    assert "| perplexity (%) | p | not inferior by 1.01 % |" in text
    assert next(row for row in rows if row[:2] == ["good+weak", "2"])[3].startswith("50.0")
    assert ["`log_odds/mean_abs`", "40", "40", "`c`"] in [[*row[:3], row[-1]] for row in rows]


def test_a_page_says_what_made_the_models_and_names_arms_that_were_not_run(results):
    text = report.study_page(results, [results])
    assert "`teacher.yaml` and the overrides `student.config.n_layer=4`" in text
    assert "`t.yaml` and the overrides `train.global_batch_size=2`" in text
    assert "Arms of the study's file that were not run: bad." in text
    assert ["bad", "`a=2`"] not in rows_of(text)


def test_a_measure_that_is_the_same_in_every_arm_has_no_row(results):
    text = report.study_page(results, [results])
    assert "The same in every arm: `lambada/accuracy`, 0.000 [0.000, 0.000]." in text
    assert not [row for row in rows_of(text) if row[0] == "`lambada/accuracy` (nats)"]
    assert "`log_odds/spread` (nats)" in text


def test_variants_are_compared_with_their_own_arm_and_have_a_plot(results, tmp_path):
    text = report.study_page(results, [results])
    assert "## Variants: differences to `plain`" not in text  # it has none
    part = text.partition("## Variants: differences to `good`")[2].partition("\n## ")[0]
    assert "![Disparity against cost](planted_good.svg)" in part
    assert "| good+weak |" in part and "| good |" not in part
    plots = {path.name: drawn for path, drawn in report.plots(results).items()}
    assert plots.keys() == {"planted.svg", "planted_good.svg"}
    assert "; +weak: log-perplexity" in plots["planted_good.svg"]
    assert "+weak" not in plots["planted.svg"]


def test_variants_are_stored_with_the_main_measures_only(planted):
    assert planted["measures"]["log_odds/spread"]["num_items"] == 40
    assert planted["measures"]["log_perplexity/token-stride"]["columns_of"] == "log_odds/mean_abs"
    assert "good+weak" not in planted["measures"]["log_odds/spread"]["values"]


def test_the_summary_of_a_study_without_a_template_of_its_own(results, tmp_path):
    pages = report.pages([results.path], tmp_path / "RESULTS.md")
    names = {path.relative_to(tmp_path).as_posix() for path in pages}
    assert names == {
        "RESULTS.md",
        *(f"results/planted{end}" for end in (".md", ".svg", "_good.svg", "_model_card.md")),
    }
    text = pages[tmp_path / "RESULTS.md"]
    assert "![Disparity against cost](results/planted.svg)" in text and "(results/planted.md)" in text
    values = [numbers.cell(numbers.value(measure, "good")) for measure in (results.disparity, results.cost)]
    assert ["`good`", "2", *values] in rows_of(text)


def test_the_marked_part_of_a_readme_is_replaced_and_nothing_else(results, tmp_path):
    readme, out = tmp_path / "README.md", tmp_path / "RESULTS.md"
    readme.write_text("# Title\n" + "old\n".join(report.README_BLOCK) + "The end.\n")
    (results.path.parent / "templates").mkdir()
    template = "It removes {{ removed('planted', 'good', 'plain', interval=false) }} %: [all]({{ report }}).\n"
    (results.path.parent / "templates" / "readme.md.jinja").write_text(template)
    begin, end = report.README_BLOCK
    expected = f"# Title\n{begin}\nIt removes 80.0 %: [all](RESULTS.md).\n\n{end}The end.\n"
    assert report.pages([results.path], out, readme)[readme] == expected
    readme.write_text("# Title\n")
    with pytest.raises(ValueError, match="README.md does not hold the lines"):
        report.pages([results.path], out, readme)


def test_two_files_of_a_study_and_a_file_elsewhere_are_refused(results, planted, tmp_path):
    second = results.path.with_name("second.json")
    second.write_text(json.dumps(planted))
    with pytest.raises(ValueError, match="is not the only file of the study planted; put them together with merge"):
        report.pages([results.path, second], tmp_path / "RESULTS.md")
    with pytest.raises(ValueError, match=r"planted\.json does not lie below"):
        report.pages([results.path], tmp_path / "elsewhere" / "RESULTS.md")


def test_the_model_card_is_of_the_recommended_arm(results):
    card = report.card(results)
    assert card.startswith("---\nlibrary_name: transformers\n")
    assert "over the settings that every student shares: `a=1`." in card
    assert "`t.yaml` and the overrides `train.global_batch_size=2`" in card
    assert "--only good --seeds 0 --set 'variants=[]'" in card
    settings = yaml.safe_load(card.partition("```yaml\n")[2].partition("```")[0])
    assert settings == {"run_dir": "x/good/seed0", "seed": 0, "a": 1}
    content = {**results.content, "study": {**results.study, "recommended": None}}
    without = dataclasses.replace(results, content=content)
    assert report.recommended(results) == "good" and report.recommended(without) is None
    with pytest.raises(ValueError, match="planted: no results of a recommended arm"):
        report.card(without)


def test_the_detectable_difference_is_that_of_the_paired_standard_error(measure):
    stored = {measure.name: {"num_items": 40, "num_clusters": 40, "convention": "a|b"}}
    results = Results(None, {"measures": stored}, {measure.name: measure})
    arms = ["teacher", "plain", "good", "absent"]
    error = numbers.difference(measure, "good", "plain").standard_error
    table = tables.items_table(results, arms, "plain")
    assert table.splitlines()[2] == f"| `{measure.name}` | 40 | 40 | {2.8016 * error:.2g} | `a\\|b` |"
    assert tables.items_table(results, arms, "absent").splitlines()[2].split(" | ")[3] == "–"


def test_an_arm_without_a_common_seed_is_left_out_of_the_differences(measure: Measure):
    alone = dataclasses.replace(measure, seeds=measure.seeds | {"same": (7, 8, 9)})
    results = Results(None, {}, {alone.name: alone})
    same, good = tables.values_table(results, ["same", "good"], "plain").splitlines()[2:]
    assert same.split("|")[4].strip() == "–" and good.split("|")[4].strip() == "80.0 [80.0, 80.0]"
    assert "| same |" not in tables.differences_table(results, list(measure.columns), "plain")


def test_the_longer_list_is_in_rows(results):
    measures = [results.measures[name] for name in ("log_odds/spread", "lambada/accuracy")]
    assert tables.others_table(measures, ["plain"]).startswith("| measure | `plain` |\n")
    assert tables.others_table(measures[:1], ["plain", "good"]).startswith("| arm | `log_odds/spread` (nats) |\n")
