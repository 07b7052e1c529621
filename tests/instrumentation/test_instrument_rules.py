"""What is recorded of captured reading and writing, and what is not, whatever the library."""

import asyncio
import os
import pathlib
import sys
import threading
import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from captured_files import assert_file, record
from opentelemetry.instrumentation.utils import suppress_instrumentation

import mlotel
from mlotel import _guard, artifacts

FRAME = pd.DataFrame({"carrier": ["UA", "AA"], "delay": [2.5, -3.0]})


@pytest.fixture(autouse=True)
def instrumented():
    mlotel.instrument("io")


@pytest.fixture
def csv(tmp_path):
    path = tmp_path / "flights.csv"
    FRAME.to_csv(path, index=False)
    return path


def test_outside_a_component_nothing_is_recorded(capture, csv):
    """At the top, in a pipeline and beside a component calls go straight through."""
    pd.read_csv(csv)
    with mlotel.pipeline("nightly"):
        FRAME.to_parquet(csv.with_suffix(".parquet"))
        with mlotel.component("step"):
            pass
        pd.read_csv(csv)

    assert [span.name for span in capture.spans()] == ["component step", "pipeline nightly"]


def test_with_nobody_listening_nothing_happens(csv):
    """Without providers a component leaves no trace in the context, and calls go straight through."""
    with mlotel.component("step"):
        assert pd.read_csv(csv).equals(FRAME)


def test_the_component_lists_what_was_captured(capture, csv):
    """Ids of captured files are among the component's inputs and outputs, and the run's tree holds their spans."""
    path = csv.with_suffix(".parquet")
    with mlotel.pipeline("nightly") as run, mlotel.component("step"):
        pd.read_csv(csv).to_parquet(path)

    component = capture.ml_attributes(capture.span("component step"))
    assert component["ml.component.input.ids"] == [artifacts.identify(csv).id]
    assert component["ml.component.output.ids"] == [artifacts.identify(path).id]
    read, write = capture.span("read flights.csv"), capture.span("write flights.parquet")
    assert read.parent.span_id == write.parent.span_id == capture.span("component step").context.span_id
    assert read.attributes["ml.run.id"] == run.id
    assert read.attributes["ml.artifact.content.id"] == write.attributes["ml.artifact.content.id"]


def test_who_reads_a_file_is_linked_to_who_wrote_it(capture, csv):
    """A captured read is linked to the captured write of the same bytes, by any library."""
    path = csv.with_suffix(".npy")
    with mlotel.component("prepare"):
        np.save(path, FRAME["delay"].to_numpy())
    moved = path.rename(path.with_name("moved.npy"))
    with mlotel.component("train"):
        np.load(moved)

    [link] = capture.span("read moved.npy").links
    assert link.context == capture.span("write flights.npy").context
    assert link.attributes["ml.link.type"] == "consumed"
    assert link.attributes["ml.link.evidence"] == "process"


def test_paths_of_every_kind(capture, csv, monkeypatch):
    """Strings, paths, relative ones, home, `file://`, open files and user types lead to the same file."""

    class Place:
        def __fspath__(self):
            return str(csv)

    home = pathlib.Path.home() / "flights.csv"
    home.write_bytes(csv.read_bytes())
    monkeypatch.chdir(csv.parent)

    with csv.open() as text, csv.open("rb") as binary:
        for place in (str(csv), csv, "flights.csv", "./flights.csv", Place(), csv.as_uri(), text, binary):
            recorded = record(capture, lambda place=place: pd.read_csv(place))
            assert_file(recorded, "input", csv, recorded.result)
            assert recorded.one["ml.artifact.uri"].endswith(csv.as_posix())
    recorded = record(capture, lambda: pd.read_csv("~/flights.csv"))
    assert recorded.one["ml.artifact.uri"].endswith(home.as_posix())


def test_bytes_are_a_path_where_the_library_says_so(capture, csv):
    """numpy takes bytes for a path."""
    path = csv.with_suffix(".npy")
    np.save(path, np.arange(3))

    recorded = record(capture, lambda: np.load(os.fsencode(path)))

    assert_file(recorded, "input", path, recorded.result)


def test_a_name_that_is_no_text(capture, csv):
    """A file whose name is not UTF-8 is recorded like any other."""
    path = os.fsencode(csv.parent) + b"/caf\xe9.npy"
    with pathlib.Path(os.fsdecode(path)).open("wb") as file:
        np.save(file, np.arange(3))

    recorded = record(capture, lambda: np.load(path))

    assert recorded.names == ["read caf?.npy"]
    assert recorded.one["ml.artifact.id"] == artifacts.identify(pathlib.Path(os.fsdecode(path))).id
    assert recorded.one["ml.artifact.uri"].endswith("/caf%E9.npy")


@pytest.fixture
def server(csv):
    """Serves the folder of the file."""
    import functools
    import http.server

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("localhost", 0), functools.partial(Quiet, directory=csv.parent)) as served:
        thread = threading.Thread(target=served.serve_forever)
        thread.start()
        yield f"http://localhost:{served.server_port}"
        served.shutdown()
        thread.join()


def test_an_address_is_recorded_without_who_may_read_it(capture, csv, server):
    """A URL is the place without its query; what was read from there has its content id."""
    recorded = record(capture, lambda: pd.read_csv(f"{server}/flights.csv?token=secret"))

    found = recorded.one
    assert recorded.names == ["read flights.csv"]
    assert found["ml.artifact.uri"] == f"{server}/flights.csv"
    assert found["ml.artifact.digest.scope"] == "none"
    assert found["ml.artifact.content.id"] == artifacts.identify(recorded.result).id
    assert "secret" not in str(recorded.attributes)


def test_a_part_of_a_file_is_not_what_is_in_it(capture, csv):
    """Reading some columns or rows is a read of the file without an id of its content; asking for all of it is none."""
    parquet, binary = csv.with_suffix(".parquet"), csv.with_suffix(".bin")
    FRAME.to_parquet(parquet)
    np.arange(8.0).tofile(binary)

    parts = [
        (parquet, lambda: pd.read_parquet(parquet, columns=["delay"])),
        (parquet, lambda: pd.read_parquet(parquet, "pyarrow", ["delay"])),
        (parquet, lambda: pd.read_parquet(parquet, filters=[("delay", ">", 0)])),
        (csv, lambda: pd.read_csv(csv, usecols=["delay"])),
        (csv, lambda: pd.read_csv(csv, nrows=1)),
        (binary, lambda: np.fromfile(binary, float, 4)),
        (binary, lambda: np.fromfile(binary, offset=8)),
    ]
    for path, work in parts:
        assert_file(record(capture, work), "input", path, type="file" if path is binary else "dataset")

    for path, work in (
        (parquet, lambda: pd.read_parquet(parquet, "pyarrow", None, filters=None)),
        (csv, lambda: pd.read_csv(csv, usecols=None, nrows=None)),
        (binary, lambda: np.fromfile(binary, float, -1, offset=0)),
    ):
        recorded = record(capture, work)
        assert_file(recorded, "input", path, recorded.result)


def test_a_file_that_is_still_open_stays_the_same_file(capture, csv):
    """What the user writes to a file after a captured write is in the file: it was not replaced meanwhile."""
    path, table = csv.with_suffix(".parquet"), pa.Table.from_pandas(FRAME)

    with mlotel.component("step"), path.open("wb") as file:
        pq.write_table(table, file)
        assert os.path.samestat(os.fstat(file.fileno()), path.stat())
        file.write(b"more")

    assert path.read_bytes().endswith(b"more")
    assert capture.span("write flights.parquet").attributes["ml.artifact.content.id"] == artifacts.identify(table).id


def test_a_call_that_fails_is_not_recorded(capture, csv):
    """The exception is the library's own, from its own code, and there is no span of the file."""
    missing = csv.with_name("missing.csv")

    def work():
        with pytest.raises(FileNotFoundError) as raised:
            pd.read_csv(missing)
        with pytest.raises(ValueError, match="engine must be one of 'pyarrow', 'fastparquet'"):
            FRAME.to_parquet(csv.with_suffix(".parquet"), engine="nonsense")
        with pytest.raises(TypeError, match="missing 1 required positional argument: 'filepath_or_buffer'"):
            pd.read_csv()
        return raised

    recorded = record(capture, work)

    assert recorded.names == []
    assert recorded.result.value.filename == str(missing) or str(missing) in str(recorded.result.value)
    assert "pandas" in recorded.result.traceback[-1].path.as_posix()


def test_a_component_that_fails_keeps_what_was_recorded(capture, csv):
    """What was read before the failure stays, and the exception is the user's."""
    error = RuntimeError("no")

    def work():
        pd.read_csv(csv)
        raise error

    with pytest.raises(RuntimeError) as raised:
        record(capture, work)

    assert raised.value is error
    assert [span.name for span in capture.spans()] == ["read flights.csv", "component step"]


def test_the_outermost_call_is_the_one_that_is_recorded(capture, csv):
    """A library that calls another one, and a function that calls itself, are one read or write."""
    path = csv.with_suffix(".parquet")

    def nested(text):
        pd.read_csv(csv)  # inside a call that reads another file
        return text

    assert record(capture, lambda: FRAME.to_parquet(path)).names == ["write flights.parquet"]
    assert record(capture, lambda: pd.read_parquet(path)).names == ["read flights.parquet"]
    assert record(capture, lambda: FRAME.to_pickle(csv.with_suffix(".pkl"))).names == ["write flights.pkl"]
    assert record(capture, lambda: pd.read_csv(csv, converters={"carrier": nested})).names == ["read flights.csv"]
    assert record(capture, lambda: pd.read_csv(csv)).names == ["read flights.csv"]


def test_threads_record_only_when_they_carry_the_component(capture, csv):
    """A plain thread inherits nothing and leaves no trace; a carried function is in the component, one span a call."""
    results = []

    def work():
        results.append(pd.read_csv(csv))

    with mlotel.component("step"):
        plain = threading.Thread(target=work)
        carried = [threading.Thread(target=mlotel.carry(work)) for _ in range(4)]
        for thread in (plain, *carried):
            thread.start()
        for thread in (plain, *carried):
            thread.join()

    assert len(results) == 5
    assert [span.name for span in capture.spans()] == ["read flights.csv"] * 4 + ["component step"]


def test_tasks_and_generators_record_in_the_component_that_they_are_in(capture, csv):
    """A call belongs to the component that is current where it runs, not where it was prepared."""

    @mlotel.component("pieces")
    def pieces():
        for _ in range(2):
            yield pd.read_csv(csv)

    async def both():
        async def one(name):
            with mlotel.component(name):
                await asyncio.sleep(0)
                pd.read_csv(csv)

        await asyncio.gather(one("a"), one("b"))

    with mlotel.component("consumer"):
        for frame in pieces():
            frame.to_csv(csv.with_name("copy.csv"), index=False)
    asyncio.run(both())

    names = [(span.name, span.attributes["ml.component.name"]) for span in capture.spans() if "flights" in span.name]
    assert names == [("read flights.csv", name) for name in ("pieces", "pieces", "a", "b")]
    copies = [span.attributes["ml.component.name"] for span in capture.spans("write copy.csv")]
    assert copies == ["consumer", "consumer"]


def test_silence_that_the_host_asks_for_is_kept(capture, csv):
    """Under `suppress_instrumentation()` nothing is recorded, also inside a component."""
    with mlotel.component("step"), suppress_instrumentation():
        pd.read_csv(csv)

    assert [span.name for span in capture.spans()] == ["component step"]


def test_a_component_that_is_sampled_out_reads_no_file_twice(csv, monkeypatch):
    """Where no span is recorded, nothing is hashed."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

    from mlotel import _providers

    identified = []
    monkeypatch.setattr(artifacts, "identify", identified.append)
    before = _providers.use(_providers.Providers(TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)))
    try:
        with mlotel.component("step"):
            assert pd.read_csv(csv).equals(FRAME)
    finally:
        _providers.use(before)

    assert identified == []


def test_an_old_file_is_reported(capture, csv):
    """A captured input older than the component allows is among the reasons for staleness."""
    os.utime(csv, (1_600_000_000, 1_600_000_000))

    with mlotel.component("step", stale_after_s=3600):
        pd.read_csv(csv)

    [reason] = capture.span("component step").attributes["ml.component.staleness"]
    assert reason.startswith("flights.csv is ")


def test_captured_files_are_not_shown_to_checks(capture, csv):
    """A check gets what the code reads by name, as without capture."""
    seen = []

    def check(flights):
        seen.append(len(flights))
        return True

    with mlotel.component("step", before=[check]) as c:
        c.read(pd.read_csv(csv), name="flights")

    assert seen == [2]
    assert "read flights.csv" in [span.name for span in capture.spans()]


@pytest.mark.lenient
def test_a_failure_of_ours_never_reaches_the_user(capture, csv, monkeypatch, caplog):
    """When recording fails, the result arrives and one line is logged."""

    def broken(*_, **__):
        raise RuntimeError("broken")

    monkeypatch.setattr("mlotel.tracing.captured.artifacts.identify", broken)
    monkeypatch.setattr("mlotel.instrumentation._base.target_of", broken)

    with mlotel.component("step"):
        assert pd.read_csv(csv).equals(FRAME)
        monkeypatch.undo()
        monkeypatch.setattr(_guard, "STRICT", False)
        monkeypatch.setattr("mlotel.tracing.captured.artifacts.identify", broken)
        assert pd.read_csv(csv).equals(FRAME)

    assert "could not find out which file a call is about (RuntimeError: broken)" in caplog.text
    assert "could not record a file (RuntimeError: broken)" in caplog.text


def lines_of_warnings(work):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        work()
    return [(warning.category, warning.filename, warning.lineno) for warning in caught]


def test_warnings_are_about_the_line_of_the_user(capture, tmp_path):
    """pandas and numpy find the same line with and without us, inside a component and outside."""
    spaced, empty = tmp_path / "spaced.csv", tmp_path / "empty.txt"
    spaced.write_text("a , b\n1 , 2\n")
    empty.write_text("")

    def work():
        pd.read_csv(spaced, sep=r"\s*,\s*")  # falls back to another engine, and says so
        np.loadtxt(empty)

    with mlotel.component("step"):
        inside = lines_of_warnings(work)
    outside = lines_of_warnings(work)
    mlotel.uninstrument()
    without = lines_of_warnings(work)

    assert inside == outside == without
    assert {filename for _, filename, _ in without} == {__file__}
    assert len(without) == 2


def test_results_are_the_same_objects_with_and_without(capture, csv):
    """What a call returns is what it returned before: same type, same values, nothing attached."""
    with mlotel.component("step"):
        inside = pd.read_csv(csv)
    mlotel.uninstrument()
    without = pd.read_csv(csv)

    assert type(inside) is type(without)
    assert inside.equals(without)
    assert vars(inside).keys() == vars(without).keys()


def test_values_are_let_go(capture, tmp_path):
    """Recording holds no reference to what was read or written."""
    import gc
    import weakref

    path = tmp_path / "array.npy"
    with mlotel.component("step"):
        array = np.arange(1000.0)
        written = weakref.ref(array)
        np.save(path, array)
        del array
        loaded = np.load(path)
        read = weakref.ref(loaded)
        del loaded
        gc.collect()
        assert written() is None
        assert read() is None


def test_recursion_of_ours_is_no_recursion_of_the_user(capture, csv):
    """A call in a signal of ours, the tree or the export, is not taken for the user's: the flag is down afterwards."""
    with mlotel.component("step"):
        with pytest.raises(FileNotFoundError):
            pd.read_csv(csv.with_name("missing.csv"))
        pd.read_csv(csv)

    assert [span.name for span in capture.spans()] == ["read flights.csv", "component step"]


def test_frames_of_ours_are_few(csv):
    """Between the user's line and the library there are at most two frames of ours."""
    depth = []

    def converter(value):
        frame, ours = sys._getframe(), 0
        while frame is not None:
            ours += "mlotel" in frame.f_code.co_filename and "importlib" in frame.f_code.co_filename
            frame = frame.f_back
        depth.append(ours)
        return value

    pd.read_csv(csv, converters={"carrier": converter})

    assert set(depth) == {2}


def test_what_becomes_of_a_captured_frame_derives_from_it(capture, csv):
    """A transformed frame leads back to the read it came from: a hint of evidence ``attrs``, never an identity."""
    with mlotel.component("step") as c:
        frame = pd.read_csv(csv)
        c.write(frame, name="same")
        c.write(frame.head(1), name="fewer")

    read = capture.span("read flights.csv")
    [link] = capture.span("write fewer").links
    assert link.context.span_id == read.context.span_id
    assert dict(link.attributes) == {
        "ml.link.type": "derived", "ml.link.evidence": "attrs",
        "ml.artifact.id": read.attributes["ml.artifact.content.id"],
    }  # fmt: skip
    assert capture.span("write same").links == ()


@pytest.mark.parametrize("left", ["", "xxh3:zz 00 11", 7, None, "xxh3:" + "0" * 32 + " " + "0" * 32 + " " + "1" * 16])
def test_a_foreign_hint_is_ignored(capture, left):
    """Whatever else stands in ``attrs`` under our key makes no link."""
    frame = pd.DataFrame({"x": [1.0]})
    frame.attrs["mlotel.read"] = left
    with mlotel.component("step") as c:
        c.write(frame, name="x")

    assert capture.span("write x").links == ()
