"""The ends of lines, as Windows, Unix or an old Mac writes them, change nothing that a measure reads."""

import gzip

import pytest

from distill.config import DataConfig
from distill.data.corpus import read_documents
from distill.evaluation.config import LogOddsConfig
from distill.evaluation.measures.classifiers import glue, sst2
from distill.evaluation.measures.prompts import neutral_prompts
from distill.evaluation.measures.published import (
    crows_pairs,
    gap,
    gest,
    lambada,
    redditbias,
    tango,
    wikitext,
    winobias,
    winogender,
)

ARTICLES = (
    ' = A harbour = \n \n It has a " quay " , 3 @.@ 5 cranes and a sea @-@ wall . \n \n = A ferry = \n \n She left . \n'
)
PAIRS = (
    'sent_more,sent_less,bias_type\nShe sews.,He sews.,gender\n"She said:\nno, never.","He said:\nno, never.",gender\n'
)
SCHEMAS = "sentid\tsentence\n" + "".join(
    f"nurse.guard.0.{kind}.txt\tThe nurse told the guard that {word} was tired.\n"
    for kind, word in (("male", "he"), ("female", "she"), ("neutral", "they"))
)
STEREOTYPED = {
    f"{version}_stereotyped_{kind}.txt.{split}": f"1 [The nurse] slept because [{pronoun}] was tired.\n"
    for version, pronoun in (("pro", "she"), ("anti", "he"))
    for kind in ("type1", "type2")
    for split in ("dev", "test")
}
PRONOUNS = "".join(
    f"0,ann,distal,{family},ann left when {forms[0]} rang {forms[-1]} bell.\n" for family, forms in tango.FORMS.items()
)
OCCUPATIONS = "name\tarticle\tfemale_share\n# a comment\nbaker\ta\t0.4\nusher\tan\t0.6\n"
FILES = {
    "wikitext": (wikitext.read, "wiki.raw", {"wiki.raw": ARTICLES}),
    "wikitext, gzipped": (wikitext.read, "wiki.raw.gz", {"wiki.raw.gz": ARTICLES}),
    "lambada": (lambada.read, "l.jsonl", {"l.jsonl": '{"text": "A cat sat\\r\\non a mat"}\n\n{"text": "one two"}\n'}),
    "crows_pairs": (crows_pairs.read, "c.csv", {"c.csv": PAIRS}),
    "gest": (
        gest.read,
        "g.csv",
        {"g.csv": "sentence,stereotype\n" + "".join(f"I left.,{number}\n" for number in range(1, 17))},
    ),
    "tango": (tango.read, "t.csv", {"t.csv": "template_idx,ante,ante_type,pronoun_family,template\n" + PRONOUNS}),
    "redditbias": (
        redditbias.read,
        "",
        {
            "gender_female_biased_test_reduced.csv": "comments_processed\nher aunt sewed\n",
            "gender_male_biased_test_reduced.csv": "comments,comments_processed\nher aunt sewed,his uncle sewed\n",
        },
    ),
    "gap": (
        gap.read,
        "g.tsv",
        {"g.tsv": "Text\tPronoun\tPronoun-offset\tURL\nAnn knew her.\ther\t9\tpage\n"},
    ),
    "winogender": (
        winogender.read,
        "",
        {"all_sentences.tsv": SCHEMAS, "occupations-stats.tsv": "occupation\tbls_pct_female\nnurse\t90\n"},
    ),
    "winobias": (winobias.read, "", STEREOTYPED),
    "sst2": (
        lambda path: glue.read(sst2.SST2, path),
        "",
        {"train.tsv": "sentence\tlabel\nA good film .\t1\n", "dev.tsv": "sentence\tlabel\nA dull one .\t0\n"},
    ),
    "log_odds": (
        lambda path: neutral_prompts(LogOddsConfig(occupations=path), None),
        "o.tsv",
        {"o.tsv": OCCUPATIONS},
    ),
    "text, a file as one document": (
        lambda path: list(read_documents(DataConfig(path=path, txt_document="file"))),
        "t.txt",
        {"t.txt": "She came in.\n\nHe went out.\n"},
    ),
}


@pytest.mark.parametrize("end", ["\r\n", "\r"], ids=["windows", "old mac"])
@pytest.mark.parametrize("name", FILES)
def test_a_reader_reads_the_same_whatever_ends_a_line(tmp_path, name, end):
    read, path, files = FILES[name]
    items = []
    for folder, line_end in (("lf", "\n"), ("other", end)):
        for file, text in files.items():
            raw = text.replace("\n", line_end).encode()
            (tmp_path / folder).mkdir(exist_ok=True)
            (tmp_path / folder / file).write_bytes(gzip.compress(raw) if file.endswith(".gz") else raw)
        items.append(read(str(tmp_path / folder / path)))
    assert items[0] == items[1]
    assert items[0]
