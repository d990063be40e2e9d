"""The corpus and the process in which the speed of the augmenter is measured."""

import json

from benchmarks.augmenter_speed import ROOT, first_texts, measure_swap, run_command, write_lines

TEXTS = ["He met her brother.", "Ä queen and three ravens."]


def test_a_corpus_is_read_until_it_has_enough_words(tmp_path):
    path = write_lines(TEXTS, 1, tmp_path / "corpus.jsonl")
    assert 0 <= path.stat().st_size - 10**6 < 100
    assert first_texts(path, 10) == [*TEXTS, TEXTS[0]]


def test_the_command_is_measured_in_a_process_of_its_own(tmp_path):
    source = tmp_path / "corpus.jsonl"
    source.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS), encoding="utf-8")
    figures = run_command(source, tmp_path, 1)
    assert figures.keys() == {"words_per_second", "parent_cpu_seconds", "cpu_seconds", "peak_mib"}
    assert figures["peak_mib"] > 1
    assert [path.name for path in tmp_path.iterdir()] == ["corpus.jsonl"]
    assert measure_swap(TEXTS)["num_words"] == 9
    assert (ROOT / "benchmarks").is_dir()
