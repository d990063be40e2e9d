"""The plans of studies: the shipped ones are valid, and faulty ones are refused."""

import itertools
from pathlib import Path

import pytest

from distill.config import TeacherConfig
from distill.settings import to_dict
from study import __main__ as study
from study.config import load_study
from study.plan import Teacher, arms_of, evaluation_config, num_tokens, plan_study

STUDIES = sorted((Path(__file__).parents[2] / "configs" / "study").glob("*.yaml"))
OPERATIONS = {"max", "mean", "expmean", "swap", "equalize", "equivariant", "equivariant_geometric"}


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_every_shipped_study_is_valid_and_its_arms_differ_with_one_budget_and_one_order_of_data(path):
    study_config = load_study(path)
    runs = plan_study(study_config).runs  # checks that no two are the same
    assert {num_tokens(run.config) for run in runs if run.arm != "healed"} == {study_config.budget_tokens}
    for seed in study_config.seeds:
        chosen = {run.arm: run.config for run in runs if run.seed == seed and "block" not in run.arm}
        assert {(config.seed, config.data.path, config.data.seq_len) for config in chosen.values()} == {
            (seed, chosen["plain"].data.path, chosen["plain"].data.seq_len)
        }
        sizes = {config.train.global_batch_size for arm, config in chosen.items() if "steps_of" not in arm}
        assert len(sizes) == 1
    assert len({run.config.run_dir for run in runs}) == len(runs)
    whole, of_variants = (evaluation_config(study_config, arm) for arm in ("plain", "plain+temperature_2"))
    assert not of_variants.occupation_gap.enabled
    assert whole.occupation_gap.enabled == (path.stem in ("smallworld", "realtext"))
    for evaluation in (whole, of_variants):  # fluency is that of continuations, which BOLD makes
        benchmarks = evaluation.benchmarks
        assert evaluation.continuations.reference is None or benchmarks.bold or benchmarks.bold_persons
    assert of_variants.log_odds == whole.log_odds and of_variants.text == whole.text  # what variants are shown with


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_every_shipped_study_has_the_arms_that_are_to_be_compared(path):
    configs = {run.arm: run.config for run in plan_study(load_study(path)).runs if "+" not in run.arm}
    have = {(config.perturb.operation, config.augment.mode) for config in configs.values()}
    if path.stem == "smollm2_healed":  # is a target better learned near the teacher?
        assert configs.keys() > {"healed", "plain", "swap", "equivariant"}
        assert any(config.perturb.ramp for config in configs.values())
        return
    if path.stem == "smollm2_in_place":  # the paper's operations on a model that starts as its teacher, and ours
        assert {config.student.layers for config in configs.values()} == {"all"}
        assert {name for name, config in configs.items() if config.perturb.scope == "pairs"} == {
            "pairs",
            "pairs_names_stay",
            "pairs_lora",
        }
        assert {name for name, config in configs.items() if config.student.lora} == {"pairs_lora"}
        assert have >= {(name, "none") for name in ("none", "max", "mean", "expmean", "swap", "equivariant")}
        return
    if path.stem == "smollm2":  # a pretrained teacher on two cores: the paper's operations and ours, not all of both
        operations = {"none", "max", "mean", "expmean", "swap", "equivariant", "equivariant_geometric"}
        augmented = {"none", "max", "equivariant_geometric"}
        assert have == {*((name, "none") for name in operations), *((name, "augment") for name in augmented)}
        return
    assert have == {*itertools.product({"none", *OPERATIONS}, {"none", "augment"}), ("none", "substitute")}
    assert configs["pairing"].loss.pairing_weight > 0
    variants = {name.split("+")[1] for name in arms_of(load_study(path)) if "+" in name}
    if path.stem.endswith("_teacher2"):  # do its arms lead to the same conclusion?
        assert variants <= {"steps_of_8"}
        return
    assert {"no_ce", "ce_0.5", "temperature_2", "strength_0.5"} <= variants


def test_a_study_with_a_base_says_only_what_is_different(study_file):
    second = study_file.with_name("second.yaml")
    second.write_text(f"base: {study_file.name}\nname: second\nvariants: []\n")
    different = {"name": "second", "variants": [], "seeds": [1]}
    assert to_dict(load_study(second, ["seeds=[1]"])) == to_dict(load_study(study_file)) | different
    third = study_file.with_name("third.yaml")
    third.write_text("base: second.yaml\nname: third\n")
    assert to_dict(load_study(third)) == to_dict(load_study(second)) | {"name": "third"}
    second.write_text("base: third.yaml\n")
    with pytest.raises(ValueError, match="third.yaml has itself as a base"):
        load_study(third)
    second.write_text("base: none.yaml\n")
    with pytest.raises(FileNotFoundError, match="none.yaml does not exist"):
        load_study(second)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("arms={plain: [], same: []}", "the arms plain and same have the same settings"),
        ("arms={plain: [train.max_steps=3]}", "arm plain trains on 768 tokens, the study's budget is 512"),
        ("arms={plain: [perturb.strenght=1]}", "arm plain: unknown config key perturb.strenght"),
        ("arms={other: []}", "'plain' is not one of the arms"),
        ("arms={plain: [], teacher: []}", "every study has teacher already"),
        ("arms={plain: [], a+b: []}", "'a+b' has a +"),
        ("margins={agreement/margin: 1}", "'agreement/margin' is not one of the measures"),
        ("recommended=fairest", "recommended: 'fairest' is not one of the arms"),
        ("headline=[fairest]", "headline: 'fairest' is not one of the arms"),
        ("seeds=[1, 1]", "names a seed twice"),
        ("train_overrides=['student={layers: auto, keep: 1}']", "all arms must have the same; name them"),
        ("train_overrides=[train.epochs=1, train.max_steps=null]", "a study needs train.max_steps"),
    ],
)
def test_a_study_that_does_not_fit_is_refused(override, message, study_file, capsys):
    overrides = [override]
    if override.startswith("arms="):
        overrides += ["variants=[]", "recommended=null"]
    words = [word for setting in overrides for word in ("--set", setting)]
    assert study.main(["plan", str(study_file), *words]) == 2
    assert message in capsys.readouterr().err


def test_a_bare_no_is_a_precision_though_yaml_reads_it_as_false(study_file):
    with study_file.open("a") as file:
        file.write("mixed_precision: no\n")
    assert load_study(study_file).mixed_precision == "no"
    assert load_study(study_file, ["mixed_precision=bf16"]).mixed_precision == "bf16"
    assert load_study(study_file, ["mixed_precision=no"]).mixed_precision == "no"


def test_only_takes_an_arm_with_its_variants_and_an_unknown_one_is_refused(study_file):
    config = load_study(study_file)
    some, every = plan_study(config, ["plain"], [1]), plan_study(config)
    assert [run.label for run in some.runs] == ["plain seed 1", "plain+strong seed 1"]
    assert len(every.runs) == 1 + 2 * 3
    assert (some.with_teacher, every.with_teacher) == (False, True)
    with pytest.raises(ValueError, match="--only nothing: the study has no such arm"):
        plan_study(config, ["nothing"])
    with pytest.raises(ValueError, match="--seeds 7"):
        plan_study(config, [], [7])


def test_only_may_be_given_several_times(study_file, capsys):
    assert study.main(["plan", str(study_file), "--only", "plain", "--only", "untrained", "--seeds", "1"]) == 0
    out = capsys.readouterr().out
    assert "plain seed 1" in out and "untrained" in out and "plain seed 0" not in out


def test_the_schema_is_that_of_the_files():
    assert {path.stem for path in STUDIES} == {load_study(path).name for path in STUDIES}


@pytest.mark.parametrize("name", ["smallworld", "realtext"])
def test_a_study_with_a_second_teacher_differs_in_the_teacher_alone(name):
    files = {path.stem: path for path in STUDIES}
    first, second = load_study(files[name]), load_study(files[f"{name}_teacher2"])
    other = {"seed=1", f"run_dir={second.run_dir}/teacher", f"teacher.path={second.run_dir}/teacher/student"}
    for key in ("teacher_overrides", "train_overrides"):
        ours, theirs = set(getattr(second, key)), set(getattr(first, key))
        assert ours - theirs <= other and all(
            override.startswith(("run_dir=", "teacher.path=")) for override in theirs - ours
        )
    equal = ("teacher_config", "train_config", "mixed_precision", "budget_tokens", "margins")
    assert all(getattr(second, key) == getattr(first, key) for key in equal)
    assert {key: second.arms[key] for key in second.arms} == {key: first.arms[key] for key in second.arms}


def test_an_unknown_key_of_the_evaluation_is_refused_before_anything_is_trained(study_file, capsys):
    assert study.main(["plan", str(study_file), "--set", "eval_overrides=[textt.path=x]"]) == 2
    assert "textt" in capsys.readouterr().err


def test_the_teacher_is_resolved_once_and_has_to_be_the_one_that_the_arms_read():
    (path,) = (path for path in STUDIES if path.stem == "realtext")
    teacher = plan_study(load_study(path)).teacher
    assert teacher.training.train.global_batch_size == 32 and teacher.training.student.config["n_layer"] == 4
    assert teacher.model == str(teacher.folder) == f"{teacher.training.run_dir}/student"
    with pytest.raises(ValueError, match="is written to elsewhere/student, but the arms read runs/study/realtext"):
        plan_study(load_study(path, ["teacher_overrides=[run_dir=elsewhere]"]))


def test_a_teacher_in_a_gguf_file_is_measured_by_its_file():
    (path,) = (path for path in STUDIES if path.stem == "smollm2")
    teacher = plan_study(load_study(path)).teacher
    assert teacher.training is None and teacher.model.startswith("models/smollm2/") and teacher.model.endswith(".gguf")


def test_a_teacher_on_the_hub_is_identified_by_its_revision(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    teacher = Teacher(TeacherConfig(path="me/teacher"), None)
    assert teacher.fingerprint() is None  # nothing says which revision will be read
    repository = tmp_path / "models--me--teacher"
    for revision in ("a1" * 20, "b2" * 20):
        (repository / "snapshots" / revision).mkdir(parents=True)
        (repository / "snapshots" / revision / "config.json").write_text("{}")
        (repository / "refs").mkdir(exist_ok=True)
        (repository / "refs" / "main").write_text(revision)
        assert teacher.fingerprint() == f"me/teacher@{revision}"


def test_plan_prints_the_settings_that_make_each_model(study_file, capsys):
    assert study.main(["plan", str(study_file), "--only", "equivariant", "--seeds", "1"]) == 0
    out = capsys.readouterr().out
    shared = " ".join(load_study(study_file).train_overrides)
    assert f"all arms are trained with: {load_study(study_file).train_config} {shared}\n" in out
    assert "  equivariant seed 1: perturb.operation=equivariant seed=1 run_dir=" in out
