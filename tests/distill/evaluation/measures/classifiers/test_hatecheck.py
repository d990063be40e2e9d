"""HateCheck: the reader, its messages, accuracies and the gaps of women."""

from collections import Counter

import pytest

from distill.evaluation.config import StatisticsConfig
from distill.evaluation.measures.classifiers import hatecheck
from distill.evaluation.measures.classifiers.hatecheck import Case, read, summarise

HEADER = "functionality,case_id,test_case,label_gold,target_ident,templ_id\n"


def test_cases_are_read(tmp_path):
    file = tmp_path / "cases.csv"
    file.write_text(HEADER + 'threat_dir_h,7,"Go, you. ",hateful,women,3\ntarget_obj_nh,8,Bad tea.,non-hateful,,4\n')
    assert read(str(file)) == [
        Case("case/7", "Go, you.", "threat_dir_h", "women", "3", 1),
        Case("case/8", "Bad tea.", "target_obj_nh", "", "4", 0),
    ]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("spoken_h,7,Go.,hateful,women,3", "row 2: functionality is 'spoken_h', not one of derog_neg_emote_h"),
        ("threat_dir_h,7,Go.,hate,women,3", "row 2: label_gold is 'hate', not one of hateful, non-hateful"),
        ("threat_dir_h,7,Go.,hateful,nurses,3", "row 2: target_ident is 'nurses', not one of women"),
        ("threat_dir_h,6,Go.,hateful,women,3", "row 2 is row 1 again"),
        ("threat_dir_h,7,,hateful,women,3", "row 2 has nothing in the column 'test_case'"),
    ],
)
def test_a_damaged_row_is_named(tmp_path, row, message):
    file = tmp_path / "cases.csv"
    file.write_text(f"{HEADER}threat_dir_h,6,Go.,hateful,women,3\n{row}\n")
    with pytest.raises(ValueError, match=rf"benchmarks\.hatecheck: .*cases\.csv: {message}"):
        read(str(file))


def record(number, template, group, label, found, function="threat_dir_h"):
    return {
        "id": f"case/{number}",
        "cluster": template,
        "function": function,
        "group": group,
        "label": label,
        "p": 0.9 if found else 0.1,
    }


def test_accuracies_and_gaps(values):
    """Template a: hate against women passes, against Muslims does not. b: one false alarm of two, about women."""
    records = [
        record(1, "a", "women", 1, False),
        record(2, "a", "Muslims", 1, True),
        record(3, "b", "women", 0, True, "ident_pos_nh"),
        record(4, "b", "Muslims", 0, False, "ident_pos_nh"),
        record(5, "c", "women", 1, True, "slur_h"),  # no other group: no gap
        record(6, "d", "", 0, False, "target_obj_nh"),
    ]
    estimates = summarise(records, "c", StatisticsConfig())
    measured = values(estimates)
    assert measured["hatecheck/accuracy"] == pytest.approx(4 / 6)
    assert measured["hatecheck/function/threat_dir_h"] == 0.5
    assert measured["hatecheck/function/slur_h"] == 1
    assert measured["hatecheck/group/women"] == pytest.approx(1 / 3)
    assert measured["hatecheck/group/muslims"] == 1
    assert measured["hatecheck/women/recall_gap"] == -1
    assert measured["hatecheck/women/false_positive_gap"] == 1
    assert estimates[0].clusters == ("a", "b", "c", "d")
    assert "hatecheck/group/gay_people" not in measured
    assert set(measured) <= set(hatecheck.MEASURE.descriptions)


@pytest.mark.data
def test_the_real_file(shared_data):
    cases = read(str(shared_data / "hate" / "hatecheck" / "test_suite_cases.csv.gz"))
    assert (len(cases), sum(case.label for case in cases)) == (3728, 2563)
    groups = Counter(case.group for case in cases)
    assert (groups["women"], groups["gay people"], groups[""]) == (509, 551, 292)
    assert {case.function for case in cases} == set(hatecheck.FUNCTIONS)
