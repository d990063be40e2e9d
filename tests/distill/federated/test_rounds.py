"""Rounds against central training, and what must make no difference: the order of clients, and a restart."""

import itertools
import shutil

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from augment.lexicon import load_lexicon
from distill import train
from distill.config import RunConfig
from distill.data.batches import collate
from distill.data.block_files import IDS
from distill.data.packing import PairedExample, pack, pair_texts
from distill.data.split import train_and_heldout
from distill.federated import __main__ as door
from distill.federated.client import load_weights, num_predictions, read_weights, train_client
from distill.federated.documents import divide, read_training_documents
from distill.federated.in_turn import client_blocks, in_turn, sizes_of
from distill.federated.server import run_round
from distill.loss.positions import find_positions
from distill.run.folder import read_metrics
from distill.run.launch import prepare
from distill.run.learner import Learner, TrainState, begin_state, build_distiller, build_learner, place_teacher
from distill.run.schedule import build_scheduler, move_scheduler
from distill.run.setup import set_up
from distill.run.step import scored_batches, steps_of, train_step
from distill.settings import load_config, replace

CLIENTS = {"by": "quantity", "count": 3, "beta": 2.0}


@pytest.fixture
def configured(config_file):
    """Writes a federated configuration: configured(federated settings, student={"dropout": 0.0}) returns its file."""

    def write(federated: dict, **sections: dict) -> str:
        settings = yaml.safe_load(config_file.read_text())
        settings["data"] |= {"max_documents": 90, "heldout_fraction": 0.1}
        settings["federated"] = {"clients": CLIENTS, "clients_per_round": 3, "local_steps": 2} | federated
        for name, section in sections.items():
            settings[name] = settings.get(name, {}) | section
        config_file.write_text(yaml.safe_dump(settings))
        return str(config_file)

    return write


def prepared(path: str):
    """Setup, partition and the clients' blocks of a configuration."""
    config = load_config(RunConfig, path)
    setup = set_up(config)
    documents = read_training_documents(config.data, load_lexicon(), None)
    partition = divide(documents, config.federated.clients, config.seed)
    return setup, partition, client_blocks(setup, partition)


def student(run_dir) -> dict[str, torch.Tensor]:
    return load_file(run_dir / "student" / "model.safetensors")


def assert_equal(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> None:
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(weight, theirs[name]) for name, weight in ours.items())


def test_one_client_that_takes_all_steps_in_one_round_is_the_central_run(configured, tmp_path):
    """In one round, because each round starts the optimizer anew, and without dropout, which draws by client."""
    clients = CLIENTS | {"count": 1}
    path = configured({"clients": clients, "clients_per_round": 1, "local_steps": 6}, student={"dropout": 0.0})
    door.federated(["--config", path])
    train.main(["--config", path, f"run_dir={tmp_path / 'central'}", "federated=null"])
    assert_equal(student(tmp_path / "run"), student(tmp_path / "central"))
    ours, theirs = (
        [line for line in read_metrics(tmp_path / name) if "heldout_kl" in line][-1] for name in ("run", "central")
    )
    assert ours == theirs


def test_one_client_in_several_rounds_is_central_training_whose_optimizer_starts_anew(configured):
    path = configured({"clients": CLIENTS | {"count": 1}, "clients_per_round": 1}, student={"dropout": 0.0})
    setup, _, blocks = prepared(path)
    start = {name: weight.clone() for name, weight in setup.models.student.state_dict().items()}
    learner = build_learner(setup)
    for number in range(3):
        run_round(setup, learner, number, sizes_of(setup, blocks)[0], in_turn(setup, blocks))
    ours = read_weights(learner.model)

    setup.models.student.load_state_dict(start)
    central = build_learner(setup)
    for number, micro_batches in enumerate(itertools.islice(steps_of(setup, 0), 6)):
        if number % 2 == 0:
            begin_state(central.optimizer.optimizer)
        train_step(setup.accelerator, setup.config, central, micro_batches)
    assert_equal(ours, read_weights(central.model))


@pytest.mark.parametrize("mode", [pytest.param("none", marks=pytest.mark.slow), "augment"])
def test_one_sgd_step_of_all_clients_is_a_central_step_on_all_their_blocks(mode, configured):
    path = configured(
        {},
        augment={"mode": mode},
        student={"dropout": 0.0},
        optim={"max_grad_norm": 0, "schedule": "constant_with_warmup", "warmup_steps": 0},
    )
    setup, _, blocks = prepared(path)
    place_teacher(setup)
    model, optimizer = prepare(
        setup.accelerator,
        distiller := build_distiller(setup),
        torch.optim.SGD([w for w in distiller.parameters() if w.requires_grad], lr=1.0),
    )
    learner = Learner(model, optimizer, build_scheduler(setup.config.optim, optimizer, 6), TrainState())
    start = read_weights(model)

    def of_all(number_of_blocks: int):
        schedule = setup.schedule._replace(
            rows_per_step=number_of_blocks, rows_per_micro=number_of_blocks, micro_steps=1
        )
        federated = replace(setup.config.federated, local_steps=1)
        return setup._replace(schedule=schedule, config=replace(setup.config, federated=federated))

    def ask(learner, number, weights, clients):
        return {
            client: train_client(of_all(len(own.train)), learner, own, weights, (number, client))
            for client in clients
            if (own := blocks[0][client])
        }

    metrics = run_round(setup, learner, 0, sizes_of(setup, blocks)[0], ask)
    ours = read_weights(model)

    rows = [row for own in blocks[0] for row in own.train]
    load_weights(model, start)
    move_scheduler(learner.scheduler, 0)
    batch = collate([example_of(row) for row in rows], setup.config.data.seq_len)
    central = train_step(setup.accelerator, setup.config, learner, list(scored_batches([batch], setup.config)))
    moved = max((weight - start[name]).abs().max().item() for name, weight in ours.items())
    assert moved > 1e-3
    for name, weight in read_weights(model).items():
        torch.testing.assert_close(ours[name], weight, rtol=0, atol=1e-6)
    assert metrics["loss"] == pytest.approx(central["loss"], rel=1e-5)
    assert metrics["num_tokens"] == central["num_tokens"]


def example_of(row) -> PairedExample:
    return PairedExample(*(np.asarray(row[name], dtype=np.int64) for name in IDS))


def test_clients_are_packed_from_their_own_documents_alone(configured, tokenizer):
    setup, partition, blocks = prepared(configured({"periods": 2}))
    texts = list(train_and_heldout(setup.config.data)[0])
    documents = pair_texts(texts, tokenizer, load_lexicon(), [tokenizer.bos_token_id])
    for client in range(3):
        own = partition.documents(client)
        early = [number for rank, number in enumerate(own) if rank * 2 // len(own) == 0]
        expected = list(pack([(documents[number], False) for number in early], 32))
        rows = list(blocks[0][client].train)
        assert [row["input_ids"].tolist() for row in rows] == [example.input_ids.tolist() for example in expected]
        assert [row["cf_input_ids"].tolist() for row in rows] == [e.cf_input_ids.tolist() for e in expected]
        assert len(blocks[0][client].heldout) == 0


@pytest.mark.parametrize("both", [False, True])
def test_the_size_of_a_client_is_what_a_pass_over_its_blocks_scores(both, configured):
    setup, _, _ = prepared(configured({}))
    batch = collate([example_of(row) for row in setup.blocks.train], 32)
    assert num_predictions(setup.blocks.train, both) == find_positions(batch, both, paired=True).num_tokens


def test_neither_the_order_of_clients_nor_other_clients_change_an_answer(configured):
    setup, _, blocks = prepared(configured({}))  # with dropout
    learner = build_learner(setup)
    start = read_weights(learner.model)
    ask = in_turn(setup, blocks)
    forwards, backwards = (ask(learner, 1, start, order) for order in ([0, 1, 2], [2, 1, 0]))
    alone = ask(learner, 1, start, [1])
    for client in range(3):
        assert_equal(forwards[client].weights, backwards[client].weights)
    assert_equal(alone[1].weights, forwards[1].weights)
    assert forwards[0].loss != forwards[1].loss


def test_a_run_that_stops_between_rounds_ends_as_if_it_had_not(configured, tmp_path, monkeypatch, capsys):
    path = configured({"selection": "activity", "clients_per_round": 4, "periods": 2})
    door.federated(["--config", path])
    whole = student(tmp_path / "run")
    lines = [line for line in read_metrics(tmp_path / "run") if "loss" in line]
    assert [(line["step"], line["round"], line["period"]) for line in lines] == [(2, 1, 0), (4, 2, 0), (6, 3, 1)]
    assert all(len(line["clients"]) == 4 for line in lines)
    assert "3 by quantity, Dirichlet(2.0)" in capsys.readouterr().out
    shutil.rmtree(tmp_path / "run")

    def dies_in_the_last_round(setup, blocks):
        def ask(learner, number, weights, clients):
            if number == 2:
                raise OSError("the machine is gone")
            return in_turn(setup, blocks)(learner, number, weights, clients)

        return ask

    with monkeypatch.context() as patch:
        patch.setattr(door, "in_turn", dies_in_the_last_round)
        with pytest.raises(OSError, match="the machine is gone"):
            door.federated(["--config", path])
    assert not (tmp_path / "run" / "student").exists()
    door.federated(["--config", path])
    assert "from step 4 of 6" in capsys.readouterr().out
    assert_equal(student(tmp_path / "run"), whole)
    again = [line for line in read_metrics(tmp_path / "run") if "loss" in line]
    assert [line["loss"] for line in again] == [line["loss"] for line in lines]
    door.federated(["--config", path])
    assert "this run is complete" in capsys.readouterr().out


def test_a_client_that_is_drawn_twice_is_asked_once(configured):
    setup, _, blocks = prepared(configured({"selection": "activity", "clients_per_round": 9}))
    asked = []

    def ask(learner, number, weights, clients):
        asked.extend(clients)
        return in_turn(setup, blocks)(learner, number, weights, clients)

    metrics = run_round(setup, build_learner(setup), 0, sizes_of(setup, blocks)[0], ask)
    assert len(metrics["clients"]) == 9
    assert asked == sorted(set(metrics["clients"]))


def test_a_step_that_fails_names_its_client(configured):
    setup, _, blocks = prepared(configured({}, optim={"grad_norm_limit": 1e-9}))
    with pytest.raises(FloatingPointError, match=r"^client 0, round 2: step 3: .* the step read \["):
        run_round(setup, build_learner(setup), 1, sizes_of(setup, blocks)[0], in_turn(setup, blocks))


def test_weights_of_another_student_are_refused(configured):
    setup, _, _ = prepared(configured({}))
    learner = build_learner(setup)
    with pytest.raises(ValueError, match="the weights are of another student"):
        load_weights(learner.model, {"other": torch.zeros(1)})
