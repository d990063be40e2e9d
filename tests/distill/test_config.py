"""The configuration: precedence, strictness, and messages that name the path, the value and the remedy."""

import pytest

from distill.config import RunConfig
from distill.settings import dump_yaml, load_config, load_yaml, parse_yaml, replace, to_dict, validate

MINIMAL = """
run_dir: runs/x
data: {path: corpus.txt}
teacher: {path: some/teacher}
student: {layers: [0, 2]}
train: {max_steps: 10}
"""


@pytest.fixture
def minimal(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text(MINIMAL)
    return path


def test_defaults_file_and_overrides_win_in_that_order(minimal):
    minimal.write_text(MINIMAL + "optim: {lr: 3e-4, eps: 1e-8}\n")
    config = load_config(RunConfig, minimal, ["optim.lr=1e-4", "student.layers=[1, 3]", "data.heldout_path=null"])
    assert config.optim.lr == 1e-4  # PyYAML reads 1e-4 as a string
    assert config.optim.eps == 1e-8
    assert config.optim.betas == (0.9, 0.98)
    assert config.student.layers == (1, 3)
    assert load_config(RunConfig, minimal, ["student.layers=all"]).student.layers == "all"


def test_a_written_config_reads_back_as_the_same(minimal, tmp_path):
    config = load_config(RunConfig, minimal, ["augment.mode=augment", "perturb.strength=0.5"])
    (tmp_path / "again.yaml").write_text(dump_yaml(to_dict(config) | {"provenance": {"git_revision": "abc"}}))
    again = load_config(RunConfig, tmp_path / "again.yaml")
    assert to_dict(again) | {"provenance": None} == to_dict(config)
    assert load_yaml(tmp_path / "again.yaml")["provenance"] == {"git_revision": "abc"}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optim.lrate=1", "unknown config key optim.lrate (value 1); known keys here: lr, betas"),
        ("teacher.gguf=x", "unknown config key teacher.gguf (value 'x'); known keys here: path, gguf_file, dtype"),
        ("seed=2147483648", "seed"),
        ("speed=3", "unknown config key speed (value 3); known keys here: run_dir, seed, data"),
        ("loss.pairing_weight=1", "config: loss.pairing_weight compares the views of a pair, but the student"),
        ("optim.lr=fast", "config key optim.lr = 'fast': Input should be a valid number"),
        ("optim.lr=.inf", "config key optim.lr = inf: Input should be a finite number"),
        ("perturb.strength=1.5", "config key perturb.strength = 1.5: Input should be less than or equal to 1"),
        ("perturb.operation=flip", "config key perturb.operation = 'flip': Input should be 'none', 'max'"),
        ("train.max_steps=true", "config key train.max_steps = True: Input should be a valid integer"),
        ("train.max_steps=0", "config key train.max_steps = 0: Input should be greater than or equal to 1"),
        ("train.epochs=2", "config train: give exactly one of max_steps and epochs"),
        ("student.checkpoint=x", "config student: give exactly one of layers, config and checkpoint"),
        ("teacher=null", "teacher is null, but loss.kd_weight, student.layers needs one"),
        ("loss={kd_weight: 0, ce_weight: 0}", "kd_weight, ce_weight and hidden_weight are all 0"),
        ("loss={kd_weight: 1, ce_weight: 0, ce_counterparts: false}", "kd_weight is 1 and ce_weight 0; give both"),
        ("loss={kd_weight: 0, ce_weight: 1, ce_counterparts: false}", "kd_weight is 0 and ce_weight 1; give both"),
        ("data={path: a, heldout_split: test}", "heldout_split is a split of heldout_path; set heldout_path too"),
        ("data={path: a, heldout_path: a}", "heldout_path is the training corpus itself"),
        ("data.path=null", "config key data.path = None: Input should be a valid string"),
        ("data=3", "config key data = 3: "),
        ("data.path=2024", "config key data.path = 2024 is not text; write it in quotes: data.path='\"...\"'"),
        ("run_dir=notes: first", "= {'notes': 'first'} is not text; write it in quotes: run_dir='\"...\"'"),
        ("data.text_field=true", "config key data.text_field = True is not text; write it in quotes"),
        ("optim", "override 'optim' is not of the form key.sub=value"),
        ("run_dir.x=3", "override 'run_dir.x=3': run_dir is a single value"),
        ("student.layers=0,2", "config key student.layers = '0,2' is not a list; write student.layers=[0,2]"),
        ("student.layers=3", "config key student.layers = 3 is not a list; write student.layers=[3]"),
        (
            "student.lora.rank=4",
            "config student: lora adapts the teacher itself, with all its layers; set layers",
        ),
        ("student={layers: all, lora: {targets: q_proj}}", "is not a list; write student.lora.targets=[q_proj]"),
        ("student={layers: all, lora: {rank: 0}}", "config key student.lora.rank = 0: Input should be greater than"),
        ("student.layers=[0, x]", "config key student.layers.1 = 'x': Input should be a valid integer"),
        ("train.trackers=wandb", "config key train.trackers = 'wandb' is not a list; write train.trackers=[wandb]"),
        ("augment.tiers=names", "write augment.tiers=[names]"),
        ("loss={kd_weight: 0, ce_weight: 0, counterpart_weight: 1}", "without them most predictions would not be"),
        ("optim.lr=[1", "override 'optim.lr=[1': the value is not valid YAML"),
        ("data.path=*.txt", "write text in quotes: data.path='\"...\"'"),
        ("student.config={n_layer: 2, n_layer: 3}", "the key n_layer stands twice, in lines 1 and 1; keep one of them"),
    ],
)
def test_faults_are_one_line_with_path_value_and_remedy(minimal, override, message):
    with pytest.raises(ValueError, match=".") as fault:
        load_config(RunConfig, minimal, [override])
    assert message in str(fault.value)
    assert "\n" not in str(fault.value)


PRIVATE = ["privacy.epsilon=8", "optim.max_grad_norm=0"]


def test_a_private_run_has_a_clip_of_one_and_no_gradient_clipping(minimal):
    config = load_config(RunConfig, minimal, [*PRIVATE, "privacy.teacher_budget={epsilon: 4, delta: 1e-6}"])
    assert (config.privacy.max_record_norm, config.privacy.delta) == (1.0, None)
    assert (config.privacy.teacher_budget.epsilon, config.privacy.teacher_budget.delta) == (4.0, 1e-6)
    assert replace(config, seed=1).privacy == config.privacy == validate(RunConfig, to_dict(config)).privacy
    assert load_config(RunConfig, minimal, PRIVATE).privacy.teacher_budget == "public"
    for infinite in (".inf", "infinity"):
        privacy = load_config(RunConfig, minimal, [*PRIVATE, f"privacy.epsilon={infinite}"]).privacy
        assert not privacy.promises and config.privacy.promises
        assert parse_yaml(dump_yaml(to_dict(privacy)))["epsilon"] == privacy.epsilon == float("inf")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("privacy={}", "config key privacy.epsilon is missing; set it in the YAML file or pass privacy.epsilon=VALUE"),
        ("privacy.epsilon=0", "config key privacy.epsilon = 0: Input should be greater than 0"),
        ("privacy.epsilon=51", "config privacy.epsilon: 51 protects nobody; give 50 at most, or .inf to train without"),
        (
            "privacy={epsilon: .inf, teacher_budget: {epsilon: 4, delta: 1e-6}}",
            "privacy.teacher_budget is set, but privacy.epsilon promises nothing; leave it out",
        ),
        ("privacy.delta=1", "config key privacy.delta = 1: Input should be less than 1"),
        ("privacy.max_record_norm=0", "config key privacy.max_record_norm = 0: Input should be greater than 0"),
        ("privacy.teacher_budget=private", "config key privacy.teacher_budget = 'private': Input should be 'public'"),
        ("privacy.teacher_budget={epsilon: 4}", "config key privacy.teacher_budget.delta is missing"),
        ("optim.max_grad_norm=5", "optim.max_grad_norm cannot be combined with privacy: each document's gradient"),
        ("optim.grad_norm_limit=5", "optim.grad_norm_limit cannot be combined with privacy: a step must not depend"),
        ("train.on_nonfinite=skip", "train.on_nonfinite cannot be combined with privacy: a document whose gradient"),
        ("train.trackers=[wandb]", "train.trackers cannot be combined with privacy: they would send the training loss"),
        ("student.dropout=0.1", "student.dropout cannot be combined with privacy: its noise would follow from"),
        ("student={layers: all, lora: {dropout: 0.1}}", "student.lora.dropout cannot be combined with privacy"),
        ("student={layers: auto, keep: 2}", "student.layers cannot be combined with privacy: `auto` chooses by"),
        ("canaries.repeats=2", "canaries.repeats cannot be combined with privacy: the promise is for one document"),
        ("teacher.shard=true", "teacher.shard cannot be combined with privacy: each process reads its own number"),
        ("perturb={operation: equivariant, gain: 2, ramp: {far: 2, near: 1}}", "perturb.ramp cannot be combined"),
    ],
)
def test_what_breaks_the_promise_is_refused_with_the_remedy(minimal, override, message):
    with pytest.raises(ValueError, match=".") as fault:
        load_config(RunConfig, minimal, [*PRIVATE, override])
    assert message in str(fault.value)
    assert "\n" not in str(fault.value)


def test_a_budget_of_no_teacher_is_refused(minimal):
    plain = ["teacher=null", "loss={kd_weight: 0, ce_weight: 1}", "student={config: {model_type: gpt2}}"]
    with pytest.raises(ValueError, match=r"privacy.teacher_budget is set, but there is no teacher and no checkpoint"):
        load_config(RunConfig, minimal, [*PRIVATE, *plain, "privacy.teacher_budget={epsilon: 1, delta: 1e-6}"])


def test_odd_batches_of_pairs_and_missing_keys_are_refused(minimal):
    with pytest.raises(ValueError, match="train.micro_batch_size is odd"):
        load_config(RunConfig, minimal, ["augment.mode=augment", "train.micro_batch_size=3"])
    minimal.write_text("run_dir: x\n")
    with pytest.raises(ValueError, match="config key data is missing; set it in the YAML file or pass data=VALUE"):
        load_config(RunConfig, minimal)


def test_files_that_are_missing_or_not_yaml(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist; pass an existing YAML file with --config"):
        load_config(RunConfig, tmp_path / "no.yaml")
    (tmp_path / "bad.yaml").write_text("a: [1\n")
    with pytest.raises(ValueError, match="is not valid YAML"):
        load_config(RunConfig, tmp_path / "bad.yaml")
    (tmp_path / "list.yaml").write_text("- 1\n")
    with pytest.raises(ValueError, match="holds a list, not `key: value` lines"):
        load_config(RunConfig, tmp_path / "list.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"run_dir: caf\xe9\n")
    with pytest.raises(ValueError, match=r"valid YAML: is not UTF-8 \(byte 0xe9 .*; convert the file, e.g. iconv"):
        load_config(RunConfig, tmp_path / "latin.yaml")
    (tmp_path / "wide.yaml").write_bytes("run_dir: x\n".encode("utf-16"))
    with pytest.raises(ValueError, match="it is UTF-16; convert the file, e.g. iconv -f UTF-16"):
        load_config(RunConfig, tmp_path / "wide.yaml")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("seed: 1\nrun_dir: a\nseed: 2\n", "seed stands twice, in lines 1 and 3"),
        ("seed: 1\n\n# again\nseed: 1\n", "seed stands twice, in lines 1 and 4"),
        ("optim:\n  lr: 1\n  eps: 2\n  lr: 1\n", "lr stands twice, in lines 2 and 4"),
        ("data: {path: a,\n  path: b}\n", "path stands twice, in lines 1 and 2"),
        ("'seed': 1\nseed: 2\n", "seed stands twice, in lines 1 and 2"),
        ("- {of: [a], of: [b]}\n", "of stands twice, in lines 1 and 1"),
        ("a: &a {x: 1}\nb:\n  <<: *a\n  y: 1\n  y: 2\n", "y stands twice, in lines 4 and 5"),
        ("0: a\n0: b\n", "0 stands twice, in lines 1 and 2"),
    ],
)
def test_a_key_that_stands_twice_is_refused_with_both_lines(tmp_path, text, fault):
    (tmp_path / "twice.yaml").write_text(text)
    with pytest.raises(ValueError, match=f"^config file .*twice.yaml is not valid YAML: the key {fault}; keep one of"):
        load_config(RunConfig, tmp_path / "twice.yaml")


def test_a_key_may_stand_in_two_sections_and_replace_a_merged_one(tmp_path):
    (tmp_path / "once.yaml").write_text("a: &a {x: 1, y: 1}\nb: {<<: *a, y: 2}\n")
    assert load_yaml(tmp_path / "once.yaml") == {"a": {"x": 1, "y": 1}, "b": {"x": 1, "y": 2}}


@pytest.mark.parametrize("name", ["part #2.jsonl", "#3", "C#/notes", "a # b # c"])
def test_an_override_has_no_comments(minimal, name):
    assert load_config(RunConfig, minimal, [f"data.path={name}"]).data.path == name


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("teacher.shard=true", "student.lora trains an adapter in the teacher itself, .* launch with .*fsdp2.yaml"),
        ("teacher.dtype=float16", "may underflow in float16; set teacher.dtype to bfloat16 or float32"),
    ],
)
def test_an_adapter_does_not_go_with_every_teacher(minimal, setting, message):
    with pytest.raises(ValueError, match=message):
        load_config(RunConfig, minimal, ["student={layers: all, lora: {}}", setting])
