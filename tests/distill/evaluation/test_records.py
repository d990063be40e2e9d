"""Records on disk: which are read, and which are kept when an evaluation is written."""

from distill.evaluation.records import PartFile, read_known, read_records, record_key, write_records


def test_records_are_kept_by_key_and_broken_lines_are_left_out(tmp_path):
    first = PartFile(tmp_path, "examples-a", 0)
    first.append("task", "k1", [{"id": "x", "text": "ä\n\N{LINE SEPARATOR}"}, {"id": "y"}])
    PartFile(tmp_path, "examples-a", 1).append("task", "k2", [{"id": "x", "v": 1}])
    PartFile(tmp_path, "examples-a.b", 0).append("task", "k1", [{"id": "other model"}])
    with first.path.open("ab") as stream:
        stream.write(b'{"task": "task", "key": "k1", "id": "z", "v": \xc3')
    PartFile(tmp_path, "examples-a", 0).append("task", "k1", [{"id": "w"}])
    known = read_known(tmp_path, "examples-a")
    assert known["k1"] == {"x": {"id": "x", "text": "ä\n\N{LINE SEPARATOR}"}, "y": {"id": "y"}, "w": {"id": "w"}}
    assert known["k2"] == {"x": {"id": "x", "v": 1}}
    write_records(tmp_path, "examples-a", {"task": ("k1", list(known["k1"].values()))})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["examples-a.b.part-0.jsonl", "examples-a.jsonl"]
    assert read_known(tmp_path, "examples-a") == known
    assert read_records(tmp_path / "examples-a.jsonl", {"task": "k1"}) == {"task": list(known["k1"].values())}
    assert record_key("a", 1) == record_key("a", 1) != record_key("a1")


def test_unused_records_are_kept_under_their_newest_key(tmp_path):
    def write(keep_parts=False, **keys):
        tasks = {task: (key, [{"id": "x", "v": key}]) for task, key in keys.items()}
        write_records(tmp_path, "examples-a", tasks, keep_parts)

    def keys_on_disk():
        return set(read_known(tmp_path, "examples-a"))

    write(long="l1", other="o1")
    write(other="o2")  # without `long`, and with another setting of `other`
    assert keys_on_disk() == {"l1", "o2", "o1"}
    assert read_records(tmp_path / "examples-a.jsonl", {"other": "o2"}) == {"other": [{"id": "x", "v": "o2"}]}
    write(long="l1", other="o3")
    assert keys_on_disk() == {"l1", "o3", "o2"}  # one older key for a task
    write(long="l1", other="o2")
    assert keys_on_disk() == {"l1", "o2", "o3"}
    part = PartFile(tmp_path, "examples-a", 0)
    part.append("long", "l2", [{"id": "x"}])  # of a run that was interrupted
    write(keep_parts=True, other="o2")
    assert keys_on_disk() == {"l1", "l2", "o2", "o3"}
    write(other="o2")
    assert keys_on_disk() == {"l2", "o2", "o3"}
    assert not list(tmp_path.glob("*.part-*"))
