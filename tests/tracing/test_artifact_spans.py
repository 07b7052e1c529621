"""What reading and writing records: a span an artifact, its attributes, and links to the write that made it."""

import gc
import os
import socket
import threading
import time
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

import mlotel
from mlotel.testing import capturing

FRAME = pd.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "z"]})


def test_a_read_span_carries_every_attribute(capture):
    """A table that is read is a child span of the component, with identity, shape, place and who reads it."""
    with mlotel.pipeline("p") as run, mlotel.component("clean") as c:
        assert c.read(FRAME, name="flights", uri="https://user:pw@example.org/f.csv?token=t#top") is FRAME

    span = capture.span("read flights")
    identity = mlotel.artifacts.identify(FRAME)
    attributes = dict(span.attributes)
    assert attributes == {
        "ml.artifact.id": identity.id,
        "ml.artifact.name": "flights",
        "ml.artifact.uri": "https://example.org/f.csv",
        "ml.artifact.type": "dataset",
        "ml.artifact.role": "input",
        "ml.artifact.digest.scope": "full",
        "ml.artifact.schema.hash": identity.schema_hash,
        "ml.artifact.row.count": 3,
        "ml.artifact.column.count": 2,
        "ml.artifact.size": identity.size,
        "ml.component.name": "clean",
        "ml.run.id": run.id,
    }
    assert type(attributes["ml.artifact.size"]) is int
    assert span.parent.span_id == capture.span("component clean").context.span_id
    assert span.links == ()


def test_a_write_span_is_an_output(capture):
    """What is written has the role ``output`` and is returned as the same object."""
    with mlotel.component("c") as c:
        assert c.write(FRAME, name="clean") is FRAME

    assert capture.span("write clean").attributes["ml.artifact.role"] == "output"


def test_the_ids_are_listed_on_the_component(capture):
    """Inputs and outputs are listed on the component in the order of the calls, for people."""
    with mlotel.component("c") as c:
        for value in (1, 2):
            c.read(value, name=f"in{value}")
            c.write(value * 10, name=f"out{value}")

    attributes = capture.span("component c").attributes
    ids = {span.name: span.attributes["ml.artifact.id"] for span in capture.spans()[:-1]}
    assert attributes["ml.component.input.ids"] == (ids["read in1"], ids["read in2"])
    assert attributes["ml.component.output.ids"] == (ids["write out1"], ids["write out2"])


def test_the_place_of_what_is_only_in_memory():
    """An unsaved artifact is at ``inmemory://<host>/<pid>/<name>``."""
    from mlotel.tracing import artifacts

    place = artifacts._uri(None, None, "clean flights")
    assert place == f"inmemory://{socket.gethostname()}/{os.getpid()}/clean%20flights"


def test_a_file_is_named_after_itself_and_hashed(capture, tmp_path):
    """A path, as ``Path`` or ``str``, is a file artifact: its name, its absolute place and the hash of its bytes."""
    path = tmp_path / "raw data.csv"
    path.write_bytes(b"a,b\n1,2\n")
    os.chdir(tmp_path)
    with mlotel.component("c") as c:
        assert c.read(path) is path
        assert c.read("raw data.csv") == "raw data.csv"
        c.read(f"file://{quote(str(path))}")

    first, second, third = capture.spans("read raw data.csv")
    for span in (first, second, third):
        attributes = capture.ml_attributes(span)
        assert attributes["ml.artifact.id"] == mlotel.artifacts.identify(path).id
        assert attributes["ml.artifact.uri"] == f"file://localhost{quote(str(path))}"
        assert attributes["ml.artifact.type"] == "dataset"
        assert attributes["ml.artifact.digest.scope"] == "full"
        assert attributes["ml.artifact.size"] == 8
        assert "ml.artifact.row.count" not in attributes


@pytest.mark.parametrize(
    ("value", "name", "uri"),
    [
        ("s3://bucket/folder/train.parquet", "train.parquet", "s3://bucket/folder/train.parquet"),
        ("https://u:p@host/a/b.csv?sig=1", "b.csv", "https://host/a/b.csv"),
        ("postgresql://u:p/w@ss@host/db", "db", "postgresql://host/db"),
        ("hdfs://cluster/", "hdfs://cluster/", "hdfs://cluster/"),
    ],
)
def test_a_remote_uri_is_not_fetched(capture, value, name, uri):
    """A URI is an artifact that nobody looked into: a ``ref:`` id, scope ``none``, no credentials."""
    with mlotel.component("c") as c:
        c.read(value)

    attributes = capture.ml_attributes(capture.span(f"read {name}"))
    assert attributes["ml.artifact.uri"] == uri
    assert attributes["ml.artifact.digest.scope"] == "none"
    assert attributes["ml.artifact.id"].startswith("ref:")
    assert len(attributes["ml.artifact.id"]) == 36


def test_uri_without_a_scheme_is_a_path(capture, tmp_path):
    """``uri=`` may be a path of the machine."""
    with mlotel.component("c") as c:
        c.read([1], name="x", uri=str(tmp_path / "x.json"))

    assert capture.span("read x").attributes["ml.artifact.uri"] == f"file://localhost{tmp_path}/x.json"


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (FRAME, "dataset"),
        (np.zeros((2, 2)), "dataset"),
        (LinearRegression(), "model"),
        (Path("model.joblib"), "model"),
        (Path("metrics.json"), "metrics"),
        (Path("readme.txt"), "file"),
        ({"mae": 1.0}, "other"),
        (b"raw", "other"),
    ],
)
def test_types_are_inferred(capture, value, kind):
    """Tables and arrays are datasets, estimators are models, paths go by their suffix, the rest is other."""
    with mlotel.component("c") as c:
        c.read(value, name="x")

    assert capture.span("read x").attributes["ml.artifact.type"] == kind


@pytest.mark.parametrize(
    "kind",
    ["dataset", "features", "model", "predictions", "labels", "reference", "checkpoint", "metrics", "file", "other"],
)
def test_a_type_may_be_given(capture, kind):
    """Every type of the conventions is accepted, by methods and functions."""
    with mlotel.component("c") as c:
        c.read([1], name="x", type=kind)
        mlotel.write([1], name="y", type=kind)

    assert capture.span("read x").attributes["ml.artifact.type"] == kind
    assert capture.span("write y").attributes["ml.artifact.type"] == kind


@pytest.mark.parametrize(("value", "name"), [(FRAME, "DataFrame"), ({"a": 1}, "dict"), (3, "int")])
def test_without_a_name_the_type_is_the_name(capture, value, name):
    """What has no name is called after its type."""
    with mlotel.component("c") as c:
        c.write(value)

    assert capture.span(f"write {name}").attributes["ml.artifact.name"] == name


def test_artifacts_outside_a_component(capture):
    """Outside a component an artifact belongs to the current span, with the run if there is one, or stands alone."""
    tracer = capture.tracer_provider.get_tracer("app")
    mlotel.write([1], name="alone")
    with tracer.start_as_current_span("job") as job:
        mlotel.read([1], name="in job")
    with mlotel.pipeline("p") as run:
        mlotel.read([1], name="in run")

    alone, in_job, in_run = (capture.span(name) for name in ("write alone", "read in job", "read in run"))
    assert alone.parent is None
    assert in_job.parent.span_id == job.get_span_context().span_id
    assert in_run.parent.span_id == capture.span("pipeline p").context.span_id
    assert in_run.attributes["ml.run.id"] == run.id
    for span in (alone, in_job):
        assert not {"ml.component.name", "ml.run.id", "ml.artifact.producer"} & span.attributes.keys()
    assert len(in_job.links) == 1


def test_the_functions_use_the_current_component(capture):
    """``mlotel.read`` and ``mlotel.write`` record on the innermost open component and return their argument."""
    with mlotel.component("c"):
        assert mlotel.read(FRAME, name="x") is FRAME
        assert mlotel.write(FRAME, name="y") is FRAME

    for name in ("read x", "write y"):
        assert capture.span(name).attributes["ml.component.name"] == "c"
    assert len(capture.span("component c").attributes["ml.component.output.ids"]) == 1


# Links


def assert_link(capture, reading, writing):
    """``reading`` is linked to ``writing``, and only to it, in every detail."""
    [link] = reading.links
    assert (link.context.trace_id, link.context.span_id) == (writing.context.trace_id, writing.context.span_id)
    assert dict(link.attributes) == {
        "ml.link.type": "consumed",
        "ml.artifact.id": writing.attributes["ml.artifact.id"],
        "ml.link.evidence": "process",
    }


def test_equal_content_in_another_object_is_linked(capture):
    """A read is linked to the write of equal content in this process, across runs, and names its producer."""
    with mlotel.pipeline("make") as run, mlotel.component("clean") as c:
        c.write(FRAME, name="clean-flights")
    with mlotel.pipeline("use"), mlotel.component("train") as c:
        c.read(FRAME.copy(), name="flights")

    reading, writing = capture.span("read flights"), capture.span("write clean-flights")
    assert_link(capture, reading, writing)
    assert reading.attributes["ml.artifact.producer"] == f"clean@{run.id}"
    assert reading.context.trace_id != writing.context.trace_id


def test_other_content_is_not_linked(capture):
    """One changed cell is another artifact, also under the same name."""
    changed = FRAME.copy()
    changed.loc[2, "a"] = 4
    with mlotel.component("make") as c:
        c.write(FRAME, name="x")
    with mlotel.component("use") as c:
        c.read(changed, name="x")

    assert capture.span("read x").links == ()
    assert "ml.artifact.producer" not in capture.span("read x").attributes


def test_the_latest_write_of_equal_content_counts(capture):
    """Of two writes of equal content the later one is the producer."""
    for name in ("first", "second"):
        with mlotel.component(name) as c:
            c.write(FRAME, name=f"by {name}")
    with mlotel.component("use") as c:
        c.read(FRAME, name="x")

    assert_link(capture, capture.span("read x"), capture.span("write by second"))


def test_reading_alone_makes_nobody_a_producer(capture):
    """Two reads of the same content are not linked to each other."""
    with mlotel.component("c") as c:
        c.read(FRAME, name="a")
        c.read(FRAME, name="b")

    assert [span.links for span in capture.spans()[:2]] == [(), ()]


def test_a_file_that_was_written_and_read_is_linked(capture, tmp_path):
    """A file is recognised by its bytes, also after it was moved."""
    path, moved = tmp_path / "model.joblib", tmp_path / "elsewhere.bin"
    path.write_bytes(b"weights")
    with mlotel.component("train") as c:
        c.write(path)
    path.rename(moved)
    with mlotel.component("predict") as c:
        c.read(moved)

    assert_link(capture, capture.span("read elsewhere.bin"), capture.span("write model.joblib"))


class Opaque:
    """Something whose content cannot be hashed."""


def test_the_same_object_is_linked_where_content_cannot_be_hashed(capture):
    """An opaque object is known by itself while it lives; another one is never taken for it."""
    model, other = Opaque(), Opaque()
    with mlotel.component("train") as c:
        c.write(model, name="model")
    with mlotel.component("predict") as c:
        c.read(model, name="model")
        c.read(other, name="other")

    assert capture.span("read model").attributes["ml.artifact.digest.scope"] == "none"
    assert_link(capture, capture.span("read model"), capture.span("write model"))
    assert capture.span("read other").links == ()


def test_a_fitted_model_is_linked_to_its_training(capture):
    """The estimator that one component returned and another used is one artifact."""
    model = LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0])
    with mlotel.component("train") as c:
        c.write(model, name="model")
    with mlotel.component("evaluate") as c:
        c.read(model, name="model")

    assert_link(capture, capture.span("read model"), capture.span("write model"))


def test_an_input_that_is_written_again_unchanged(capture):
    """A component that hands its input on writes the same id, and a later reader is linked to it."""
    with mlotel.component("make") as c:
        c.write(FRAME, name="x")
    with mlotel.component("pass") as c:
        c.write(c.read(FRAME, name="x"), name="y")
    with mlotel.component("use") as c:
        c.read(FRAME, name="z")

    assert capture.span("write y").links == ()
    assert_link(capture, capture.span("read z"), capture.span("write y"))


def test_what_is_remembered_is_bounded():
    """The latest 10,000 writes are known; older ones are forgotten, so a process that never ends does not grow."""
    from mlotel.artifacts.evidence import Producer
    from mlotel.tracing.lineage import Memory

    memory = Memory()
    for number in range(12_000):
        memory.add(
            Producer(
                "ab" * 16, "cd" * 8, 1, component="c", run_id=None, written_ns=number, name=f"n{number}", uri=None,
                artifact_id=f"xxh3:{number:032x}", evidence="process",
            )
        )  # fmt: skip

    assert memory.find(f"xxh3:{1999:032x}") is None
    assert memory.find(f"xxh3:{2000:032x}").written_ns == 2000
    assert (memory.latest("n1999"), memory.latest("n2000").written_ns) == (None, 2000)
    assert (len(memory._by_id), len(memory._by_name)) == (10_000, 10_000)


def test_values_are_not_kept_alive(capture):
    """Recording an artifact does not keep it: a user's ``del`` frees memory."""
    import weakref

    array = np.zeros(1000)
    gone = weakref.ref(array)
    with mlotel.component("c") as c:
        c.read(array, name="x")
        del array
        gc.collect()
        assert gone() is None


# Values that are large, odd or hostile


def timed(function):
    started = time.thread_time()
    function()
    return time.thread_time() - started


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(lambda: "x" * 100_000_000, id="100 MB of text"),
        pytest.param(lambda: list(range(1_000_000)), id="list of a million"),
        pytest.param(lambda: dict.fromkeys(range(1_000_000), 1.0), id="dict of a million"),
        pytest.param(lambda: pd.DataFrame({"a": np.arange(1_000_000.0), "b": ["x"] * 1_000_000}), id="frame"),
    ],
)
def test_large_values_stay_within_the_budget(capture, value):
    """Reading something very large costs at most the budget of two seconds and a little."""
    value = value()
    with mlotel.component("c") as c:
        spent = timed(lambda: c.read(value, name="x"))

    assert spent < 3.0
    attributes = capture.span("read x").attributes
    assert attributes["ml.artifact.digest.scope"] in ("full", "sampled")
    assert all(len(text) <= 2048 for text in attributes.values() if isinstance(text, str))


def test_a_text_too_long_for_a_path_is_a_value(capture):
    """A ``str`` longer than any path is hashed as text, and not taken apart as a path."""
    with mlotel.component("c") as c:
        c.read("y" * 10_000)

    attributes = capture.ml_attributes(capture.span("read str"))
    assert attributes["ml.artifact.type"] == "other"
    assert attributes["ml.artifact.digest.scope"] == "full"


@pytest.mark.parametrize("value", ["no such file.csv", "nul\0byte", "lone \ud800 surrogate.csv", "/dev/null"])
def test_paths_that_lead_nowhere_are_recorded(capture, value):
    """A path that cannot be read is an artifact of scope ``none``, never an error."""
    with mlotel.component("c") as c:
        assert c.read(value, name="x") is value

    attributes = capture.span("read x").attributes
    assert attributes["ml.artifact.digest.scope"] == "none"
    assert attributes["ml.artifact.uri"].startswith("file://localhost/")
    attributes["ml.artifact.uri"].encode()


class Hostile:
    """Every question about it is an error."""

    def __getattribute__(self, name):
        raise RuntimeError(f"asked for {name}")

    def __repr__(self):
        raise RuntimeError("repr")

    __len__ = __bool__ = __hash__ = __iter__ = __str__ = __repr__

    def __eq__(self, other):
        raise RuntimeError("eq")


def test_a_hostile_object_is_an_artifact(capture):
    """An object that raises whatever it is asked is recorded by its type, and returned."""
    value = Hostile()
    with mlotel.component("c") as c:
        assert c.read(value) is value
        assert c.write(value, name="out") is value

    assert capture.span("read Hostile").attributes["ml.artifact.digest.scope"] == "none"


def test_long_names_are_cut(capture):
    """Names are cut at 256 characters in the attribute and 200 in the name of the span."""
    with mlotel.component("c") as c:
        c.read([1], name="n" * 1000)

    span = capture.spans()[0]
    assert len(span.name) == len("read ") + 200
    assert len(span.attributes["ml.artifact.name"]) == 256
    assert span.attributes["ml.artifact.name"].endswith("[cut, 1000 characters]")


def test_writes_in_many_threads_are_all_recorded(capture):
    """Threads that write at once lose no artifact."""
    with mlotel.component("c") as c:
        threads = [
            threading.Thread(target=lambda base=base: [c.write(base + index, name="x") for index in range(50)])
            for base in (0, 1000, 2000, 3000)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert len(capture.spans("write x")) == 200


def test_what_was_written_before_is_not_known_inside_a_capture():
    """A capture begins with nothing written, so a test does not depend on those before it."""
    for _ in range(2):
        with capturing() as capture:
            with mlotel.component("c") as c:
                c.read(FRAME, name="x")
                c.write(FRAME, name="x")
            assert capture.span("read x").links == ()


def test_an_input_changed_in_place_is_written_as_mutated(capture):
    """A component that changes what it read leaves a write of role ``mutated``, derived from what it had read."""
    frame = FRAME.copy()
    with mlotel.component("change") as c:
        c.read(frame, name="x")
        frame.iloc[0, 0] += 1

    read, written = capture.span("read x"), capture.span("write x")
    assert capture.ml_attributes(written)["ml.artifact.role"] == "mutated"
    assert written.attributes["ml.artifact.id"] == mlotel.artifacts.identify(frame).id
    [link] = written.links
    assert link.context.span_id == read.context.span_id
    assert dict(link.attributes) == {
        "ml.link.type": "derived", "ml.link.evidence": "process", "ml.artifact.id": read.attributes["ml.artifact.id"],
    }  # fmt: skip
    with mlotel.component("use") as c:
        c.read(frame, name="changed")
    assert_link(capture, capture.span("read changed"), written)


def test_an_unchanged_input_is_not_mutated(capture):
    """Reading alone leaves no write."""
    with mlotel.component("look") as c:
        c.read(FRAME, name="x").sum()

    assert [span.name for span in capture.spans()] == ["read x", "component look"]


def test_an_argument_changed_in_place(capture):
    """Decorated functions are watched too, also when they fail."""
    import numpy as np

    @mlotel.component
    def scale(values):
        values *= 2
        raise KeyError

    with pytest.raises(KeyError):
        scale(np.arange(3.0))

    assert capture.span("write values").attributes["ml.artifact.role"] == "mutated"


def test_a_deleted_input_is_freed_and_not_looked_at_again(capture):
    """Inputs are watched weakly: ``del`` in the component frees them, and nothing is recorded of them then."""
    import weakref

    frame = FRAME.copy()
    gone = weakref.ref(frame)
    with mlotel.component("change") as c:
        c.read(frame, name="x")
        frame.iloc[0, 0] += 1
        del frame
        assert gone() is None

    assert capture.spans("write x") == []


def test_an_output_that_was_an_input_is_derived_from_it(capture):
    """What the component changed and wrote itself is one write, not two, and leads to what it was."""
    frame = FRAME.copy()
    with mlotel.component("change") as c:
        c.read(frame, name="x")
        frame.iloc[0, 0] += 1
        c.write(frame, name="y")

    [link] = capture.span("write y").links
    assert link.context.span_id == capture.span("read x").context.span_id
    assert capture.spans("write x") == []


def test_a_person_may_say_who_wrote(capture):
    """``made_by=`` links where nothing else tells, with evidence ``declared``; what is known goes first."""
    with mlotel.component("use") as c:
        c.read([1, 2], name="a", made_by=f"00-{'ab' * 16}-{'cd' * 8}-01")
        c.write([3, 4], name="b")
        c.read([3, 4], name="b", made_by=f"00-{'ab' * 16}-{'cd' * 8}-01")

    [link] = capture.span("read a").links
    assert (f"{link.context.trace_id:032x}", f"{link.context.span_id:016x}") == ("ab" * 16, "cd" * 8)
    assert link.attributes["ml.link.evidence"] == "declared"
    assert_link(capture, capture.span("read b"), capture.span("write b"))


@pytest.mark.parametrize("made_by", ["clean@r7", "00-abc-def-01", f"00-{'0' * 32}-{'cd' * 8}-01", ""])
def test_a_traceparent_that_is_none_is_refused(capture, made_by):
    """The error says what was passed and what a traceparent looks like."""
    with mlotel.component("use") as c, pytest.raises(mlotel.errors.InvalidArgumentError, match="made_by"):
        c.read([1], made_by=made_by)


def test_another_source_can_be_asked(capture):
    """A plugged source is asked after everything that lies nearer."""
    from mlotel.artifacts.evidence import Producer
    from mlotel.tracing import lineage

    class Store:
        def find(self, content_id, /):
            asked.append(content_id)
            return Producer(
                "ab" * 16, "cd" * 8, 1, component="clean", run_id="r7", written_ns=1, artifact_id=content_id, name="x",
                uri=None, evidence="backend",
            )  # fmt: skip

    asked = []
    remove = lineage.add_source(Store())
    try:
        with mlotel.component("use") as c:
            c.read([1, 2], name="x")
            c.write([3], name="y")
            c.read([3], name="y")
    finally:
        remove()

    [link] = capture.span("read x").links
    assert link.attributes["ml.link.evidence"] == "backend"
    assert capture.span("read x").attributes["ml.artifact.producer"] == "clean@r7"
    assert asked == [capture.span("read x").attributes["ml.artifact.id"]]


def test_a_newer_artifact_of_the_same_name_makes_an_input_stale(capture):
    """Reading what has been replaced meanwhile is said on the component and counted."""
    with mlotel.component("make") as c:
        c.write([1], name="x")
        c.write([2], name="x")
    with mlotel.component("use") as c:
        c.read([1], name="x")
        c.read([2], name="x")

    [reason] = capture.span("component use").attributes["ml.component.staleness"]
    assert reason.startswith("a newer x was written ")
    assert capture.metric("ml.data.stale", ml_component_name="use") == 1


@pytest.mark.parametrize(("algorithm", "digits"), [("sha256", 64), ("blake3", 64), ("XXH3", 32)])
def test_ids_for_audits(capture, monkeypatch, tmp_path, algorithm, digits):
    """``MLOTEL_HASH`` chooses the hash of all recorded artifacts, and their edges stay."""
    monkeypatch.setenv("MLOTEL_HASH", algorithm)
    path = tmp_path / "a.txt"
    path.write_text("a")
    with mlotel.component("c") as c:
        c.write(FRAME, name="x")
        c.write(path)
        c.read(FRAME.copy(), name="x")

    scheme, _, found = capture.span("write x").attributes["ml.artifact.id"].partition(":")
    assert (scheme, len(found)) == (algorithm.lower(), digits)
    assert capture.span("write a.txt").attributes["ml.artifact.id"].startswith(f"{algorithm.lower()}:")
    assert capture.span("write x").attributes["ml.artifact.digest.scope"] == "full"
    assert_link(capture, capture.span("read x"), capture.span("write x"))


def test_an_unknown_hash_is_said_once(capture, monkeypatch, caplog):
    """What cannot be used is named with the way out, and artifacts are recorded all the same."""
    monkeypatch.setenv("MLOTEL_HASH", "md5")
    with mlotel.component("c") as c:
        c.write([1], name="x")
        c.write([2], name="y")

    assert capture.span("write x").attributes["ml.artifact.id"].startswith("xxh3:")
    [line] = [record.getMessage() for record in caplog.records]
    assert line.startswith(
        "MLOTEL_HASH cannot be used: identify() got algorithm='md5'. Use one of xxh3, blake3, sha256."
    )
