"""The report on which terms are single tokens."""

import pytest

from augment.lexicon import load_lexicon
from distill import terms


def test_the_report_has_a_line_for_every_pair_and_counts_the_single_ones(tokenizer):
    lexicon = load_lexicon()
    header, *lines = terms.report(tokenizer, lexicon).split("\n")
    assert header.split("\t") == ["masculine", "feminine", "single tokens", "several tokens"]
    rows = {tuple(line.split("\t")[:2]): line.split("\t")[2:] for line in lines}
    assert len(lines) == len(lexicon.pairs)
    assert " he/ she" in rows["he", "she"][0]
    num_single, num_pairs = terms.coverage(tokenizer, lexicon)
    assert num_pairs == len(lines)
    assert num_single == sum(single != "-" for single, _ in rows.values())
    assert 0 < num_single < num_pairs


def test_the_command_prints_it_and_refuses_a_missing_tokenizer(small_world, capsys):
    terms.main([str(small_world / "tokenizer")])
    printed = capsys.readouterr()
    assert printed.out.startswith("masculine\tfeminine")
    assert "pairs are single tokens in some form" in printed.err
    with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
        terms.main(["./nowhere"])
