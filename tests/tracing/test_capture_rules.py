"""What of a decorated function's arguments and result becomes an artifact, and what a param."""

import collections
import dataclasses
import inspect
import os
import threading
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.linear_model import LinearRegression

import mlotel
from mlotel import errors

FRAME = pd.DataFrame({"a": [1, 2, 3]})


def recorded(capture, name="f"):
    """Names of read and write spans, and params of the component."""
    artifacts = [span.name for span in capture.spans() if span.name.startswith(("read", "write"))]
    attributes = capture.ml_attributes(capture.span(f"component {name}"))
    params = {key.removeprefix("ml.param."): value for key, value in attributes.items() if key.startswith("ml.param.")}
    return artifacts, params


@pytest.mark.parametrize(
    "value",
    [
        FRAME,
        FRAME["a"],
        pl.DataFrame({"a": [1]}),
        np.zeros(3),
        b"bytes",
        bytearray(b"more"),
        LinearRegression(),
    ],
    ids=lambda value: type(value).__name__,
)
def test_data_and_models_are_artifacts(capture, value):
    """Tables, columns, arrays, bytes and estimators are inputs and outputs, named after the parameter and function."""

    @mlotel.component
    def f(x):
        return x

    assert f(value) is value
    assert recorded(capture) == (["read x", "write f"], {})


@pytest.mark.parametrize(
    ("value", "param"),
    [
        (3, 3),
        (0.5, 0.5),
        (True, True),
        (None, "None"),
        ("text/that/looks/like/a/path", "text/that/looks/like/a/path"),
        (np.float64(0.5), 0.5),
        ([1, 2], [1, 2]),
        (("a", "b"), ["a", "b"]),
        ([1, "a", None], ["1", "a", "None"]),
        ({"a"}, ["a"]),
        (object(), "<object>"),
        (iter([1]), "<list_iterator>"),
        (threading.Lock(), "<_thread.lock>"),
        (LinearRegression, "sklearn.linear_model._base.LinearRegression"),
        (len, "builtins.len"),
        (list(range(200)), "<list of 200>"),
    ],
)
def test_everything_else_is_a_param(capture, value, param):
    """Scalars and short lists are params as they are, a ``str`` is never a file, other things say their type."""

    @mlotel.component
    def f(x):
        return None

    f(value)
    assert recorded(capture) == ([], {"x": param})


def test_arguments_by_every_way(capture):
    """Positional, keyword, default, variable and keyword-only arguments have the names of their parameters."""

    @mlotel.component
    def f(a, /, b, *rest, c=3, d=4, **more):
        return None

    f(1, 2, 10, FRAME, c=30, e=5, g=FRAME)

    assert recorded(capture) == (
        ["read rest.1", "read g"],
        {"a": 1, "b": 2, "rest.0": 10, "c": 30, "d": 4, "e": 5},
    )


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((1, 2, 3), {}),
        ((1,), {"b": 2}),
        ((), {"c": 3, "a": 1, "b": 2}),
        ((1, 2), {"c": 5}),
        ((1, 2, 3, 4), {}),
        ((1, 2), {"a": 5}),
        ((1, 2), {"d": 5}),
        ((1,), {}),
        ((), {}),
    ],
)
def test_arguments_are_bound_as_by_python(capture, args, kwargs):
    """Every call gives the params that ``inspect.signature`` gives; a wrong one fails with the function's own words."""

    def f(a, b, c=3):
        return None

    try:
        expected = inspect.signature(f).bind(*args, **kwargs)
        expected.apply_defaults()
    except TypeError:
        with pytest.raises(TypeError, match=r"f\(\) (takes|got|missing)"):
            mlotel.component(f)(*args, **kwargs)
        assert recorded(capture)[1] == {}
    else:
        mlotel.component(f)(*args, **kwargs)
        assert recorded(capture)[1] == expected.arguments


def test_defaults_are_params(capture):
    """What was not passed counts too: the run used it."""

    @mlotel.component
    def f(learning_rate=0.1, *, seed=None):
        return None

    f()
    assert recorded(capture)[1] == {"learning_rate": 0.1, "seed": "None"}


def test_scalar_results_are_params(capture):
    """A number that is returned is a param with the name of the function; None is nothing."""

    @mlotel.component
    def accuracy(x):
        return 0.93 if x else None

    accuracy(1)
    accuracy(0)

    first, second = capture.spans("component accuracy")
    assert first.attributes["ml.param.accuracy"] == 0.93
    assert "ml.param.accuracy" not in second.attributes


@dataclasses.dataclass
class Config:
    depth: int
    path: str = "here"
    nested: dict = dataclasses.field(default_factory=lambda: {"a": 1})
    made: float = dataclasses.field(init=False, default=1.0)


@dataclasses.dataclass(slots=True)
class Slotted:
    depth: int
    rate: float = 0.5


class Point(NamedTuple):
    x: int
    y: str


def test_dicts_dataclasses_and_named_tuples_are_flattened(capture):
    """Settings in a dict, a dataclass (slots too) or a named tuple are params by their keys, one level deep."""

    @mlotel.component
    def f(a, b, c, d, e, g):
        return None

    f({"k": 1, "n": {"m": 2}}, Config(3), Slotted(4), Point(5, "w"), collections.OrderedDict(o=6), {})

    assert recorded(capture)[1] == {
        "a.k": 1, "a.n": "<dict of 1>", "b.depth": 3, "b.path": "here", "b.nested": "<dict of 1>",
        "c.depth": 4, "c.rate": 0.5, "d.x": 5, "d.y": "w", "e.o": 6, "g": "<dict of 0>",
    }  # fmt: skip


def test_a_tuple_of_data_is_that_many_artifacts(capture):
    """``split.0`` and ``split.1``; what is no data among them is a param."""

    @mlotel.component
    def split(x):
        return x[:2], x[2:], 0.5

    split(FRAME)
    assert recorded(capture, "split") == (["read x", "write split.0", "write split.1"], {"split.2": 0.5})


def test_a_dict_of_data_is_named_by_its_keys(capture):
    """A dict of artifacts is one each, by key, also for arguments, and keys of any type."""

    @mlotel.component
    def split(parts):
        return {"train": FRAME, "größe": FRAME, 3: FRAME, "rows": 3}

    split({"a": FRAME, "n": 1})
    artifacts, params = recorded(capture, "split")
    assert artifacts == ["read parts.a", "write split.train", "write split.größe", "write split.3"]
    assert params == {"parts.n": 1, "split.rows": 3}


class Parts(NamedTuple):
    train: object
    test: object


def test_a_named_tuple_of_data_is_named_by_its_fields(capture):
    """Fields name the artifacts of a named tuple."""

    @mlotel.component
    def split():
        return Parts(FRAME, FRAME)

    split()
    assert recorded(capture, "split")[0] == ["write split.train", "write split.test"]


def test_collections_in_collections(capture):
    """``(x, y), (x, y)`` is four artifacts."""

    @mlotel.component
    def load():
        return (FRAME, np.zeros(2)), (FRAME, np.zeros(2))

    load()
    assert recorded(capture, "load")[0] == ["write load.0.0", "write load.0.1", "write load.1.0", "write load.1.1"]


def test_renames(capture):
    """``inputs=`` renames parameters, ``outputs=`` the result or its parts; what is not named keeps its place."""

    @mlotel.component("one", inputs={"x": "raw-flights"}, outputs="clean-flights")
    def one(x, k=1):
        return x

    @mlotel.component("two", outputs=["train", "test"])
    def two(x):
        return x[:1], x[1:2], x[2:]

    @mlotel.component("three", outputs=("only",))
    def three(x):
        return x

    @mlotel.component("four", outputs=("a", "b"))
    def four(x):
        return {"k": x, "l": x}

    @mlotel.component("five", outputs="parts")
    def five(x):
        return [x, x]

    for function in (one, two, three, four, five):
        function(FRAME)

    writes = [span.name for span in capture.spans() if span.name.startswith(("write", "read raw"))]
    assert writes == [
        "read raw-flights", "write clean-flights", "write train", "write test", "write two.2", "write only",
        "write a", "write b", "write parts.0", "write parts.1",
    ]  # fmt: skip


def test_renaming_what_is_not_there_is_an_error():
    """``inputs=`` that names no parameter is refused at once, with the nearest one."""
    with pytest.raises(errors.InvalidArgumentError, match=r"inputs=\{'fligths': …\}.*Did you mean 'flights'\?"):

        @mlotel.component(inputs={"fligths": "raw"})
        def f(flights):
            pass


def test_of_a_long_list_of_artifacts_the_rest_is_counted(capture):
    """The first 32 artifacts of one collection are recorded; ``ml.artifact.links.omitted`` counts the others."""

    @mlotel.component
    def f(frames, more):
        return frames

    f([FRAME] * 40, dict.fromkeys(range(1000), FRAME))

    artifacts, _ = recorded(capture)
    assert sum(name.startswith("read frames.") for name in artifacts) == 32
    assert sum(name.startswith("read more.") for name in artifacts) == 32
    assert sum(name.startswith("write f.") for name in artifacts) == 32
    omitted = capture.span("component f").attributes["ml.artifact.links.omitted"]
    assert omitted == (40 - 32) + (1000 - 32) + (40 - 32)
    assert type(omitted) is int


def test_large_arguments_cost_little(capture):
    """Looking at a huge list, dict, string or table as an argument takes a bounded time."""

    @mlotel.component
    def f(a, b, c, d, e):
        return a

    values = (
        list(range(1_000_000)), dict.fromkeys(range(1_000_000), 1.0), "x" * 100_000_000,
        pd.DataFrame({"a": np.arange(1_000_000.0), "b": ["x"] * 1_000_000}), [[1.0] * 1000] * 1000,
    )  # fmt: skip
    started = time.thread_time()
    f(*values)
    spent = time.thread_time() - started

    assert spent < 3.0
    params = recorded(capture)[1]
    assert params["a"] == "<list of 1000000>"
    assert params["b"] == "<dict of 1000000>"
    assert len(params["c"]) == 2048
    assert params["e"] == "<list of 1000>"


def test_many_params_leave_room(capture):
    """However many arguments there are, the names of the component stay on its span."""

    @mlotel.component(type="t")
    def f(**more):
        return {f"r{index}": index for index in range(100)}

    f(**{f"p{index}": index for index in range(300)})

    attributes = capture.span("component f").attributes
    assert sum(key.startswith("ml.param.") for key in attributes) == 64
    assert (attributes["ml.component.name"], attributes["ml.component.type"]) == ("f", "t")


# Paths


def test_a_path_that_is_there_is_an_input(capture, tmp_path):
    """A file that exists before the call is read, by its bytes."""
    path = tmp_path / "in.csv"
    path.write_text("a\n1\n")

    @mlotel.component
    def f(source):
        return source.read_text()

    f(path)
    span = capture.span("read source")
    assert span.attributes["ml.artifact.id"] == mlotel.artifacts.identify(path).id
    assert span.attributes["ml.artifact.uri"] == f"file://localhost{path}"
    assert recorded(capture)[0] == ["read source"]


def test_a_path_that_the_call_makes_is_an_output(capture, tmp_path):
    """A file that is there only afterwards is written, named after the parameter; one that never comes is nothing."""

    @mlotel.component(inputs={"target": "saved-model"})
    def f(target, never):
        target.write_bytes(b"model")

    f(tmp_path / "m.bin", tmp_path / "none")
    assert recorded(capture)[0] == ["write saved-model"]
    attributes = capture.span("write saved-model").attributes
    assert attributes["ml.artifact.role"] == "output"
    assert attributes["ml.artifact.id"] == mlotel.artifacts.identify(tmp_path / "m.bin").id


def test_a_path_that_the_call_changes_is_mutated(capture, tmp_path):
    """A file that was there and changed is an input, and a ``mutated`` output linked to what it was."""
    path = tmp_path / "log.csv"
    path.write_text("a\n")
    before = mlotel.artifacts.identify(path).id

    @mlotel.component
    def append(log):
        with log.open("a") as file:
            file.write("1\n")

    append(path)

    read, write = capture.span("read log"), capture.span("write log")
    assert read.attributes["ml.artifact.id"] == before
    assert write.attributes["ml.artifact.role"] == "mutated"
    assert write.attributes["ml.artifact.id"] == mlotel.artifacts.identify(path).id != before
    [link] = write.links
    assert link.context.span_id == read.context.span_id
    assert dict(link.attributes) == {
        "ml.link.type": "derived",
        "ml.artifact.id": before,
        "ml.link.evidence": "process",
    }
    component = capture.span("component append").attributes
    assert component["ml.component.output.ids"] == (write.attributes["ml.artifact.id"],)


def test_a_mutated_file_is_linked_to_its_readers(capture, tmp_path):
    """Whoever reads the changed file is linked to the component that changed it."""
    path = tmp_path / "f.txt"
    path.write_text("1")

    @mlotel.component
    def change(f):
        f.write_text("22")

    @mlotel.component
    def use(f):
        return None

    change(path)
    use(path)
    [link] = capture.spans("read f")[1].links
    assert link.context.span_id == capture.span("write f").context.span_id
    assert link.attributes["ml.link.type"] == "consumed"


def test_a_path_that_is_returned_is_an_output_once(capture, tmp_path):
    """A path that is both a parameter and returned, also among others, is written once, as the result."""

    @mlotel.component
    def f(target):
        target.write_text("x")
        return target, 1

    f(tmp_path / "t.txt")
    assert recorded(capture)[0] == ["write f.0"]


def test_lists_of_paths_are_told_apart_like_paths(capture, tmp_path):
    """Of a list or dict of paths those that are there are read, those that are made are written."""
    (tmp_path / "a").write_text("a")

    @mlotel.component
    def f(sources, targets):
        targets["new"].write_text("new")

    f([tmp_path / "a", tmp_path / "b"], {"new": tmp_path / "new"})
    assert recorded(capture)[0] == ["read sources.0", "write targets.new"]


def test_paths_of_generators_and_coroutines(capture, tmp_path):
    """A generator or coroutine that returns nothing and makes a file has written it."""
    import asyncio

    @mlotel.component
    def generator(target):
        yield 1
        target.write_text("g")

    @mlotel.component
    async def coroutine(target):
        target.write_text("c")

    @mlotel.component
    async def async_generator(target):
        target.write_text("a")
        yield 1

    async def main():
        await coroutine(tmp_path / "c")
        return [item async for item in async_generator(tmp_path / "a")]

    list(generator(tmp_path / "g"))
    asyncio.run(main())
    writers = [span.attributes["ml.component.name"] for span in capture.spans("write target")]
    assert writers == ["generator", "coroutine", "async_generator"]


def test_foreign_paths_are_paths(capture, tmp_path):
    """Anything with ``__fspath__`` is a path, as for ``open()``."""

    class Place:
        def __fspath__(self):
            return str(tmp_path / "x")

    (tmp_path / "x").write_text("x")
    [entry] = [entry for entry in os.scandir(tmp_path) if entry.name == "x"]

    @mlotel.component
    def f(a, b):
        return None

    f(Place(), entry)
    assert recorded(capture)[0] == ["read a", "read b"]


def test_a_path_that_cannot_be_asked_costs_nothing_else(capture):
    """A path whose place raises is an artifact that nobody could look into; nothing reaches the user."""

    class Broken:
        def __fspath__(self):
            raise RuntimeError("no place")

    @mlotel.component
    def f(a, b):
        return b

    broken = Broken()
    assert f(broken, 3) == 3
    with mlotel.component("c") as c:
        assert c.read(broken) is broken
    assert recorded(capture) == (["read a", "read Broken"], {"b": 3, "f": 3})
    assert capture.span("read a").attributes["ml.artifact.digest.scope"] == "none"


# Objects that do not like to be asked


class Hostile:
    """Raises or waits at whatever it is asked."""

    @property
    def __class__(self):
        raise RuntimeError("class")

    def __getattr__(self, name):
        raise RuntimeError(name)

    def __len__(self):
        time.sleep(60)
        return 0

    __repr__ = __str__ = __bool__ = __iter__ = __hash__ = __len__

    def __eq__(self, other):
        time.sleep(60)


class Meta(type):
    """A metaclass that raises whatever its classes are asked."""

    def __getattribute__(cls, name):
        raise RuntimeError(name)

    def __instancecheck__(cls, instance):
        raise RuntimeError

    __subclasscheck__ = __instancecheck__


class OfMeta(metaclass=Meta):
    pass


def test_hostile_objects_are_described_by_their_type(capture):
    """Objects, and classes of metaclasses, that raise or wait when asked anything are params that say their type."""

    @mlotel.component
    def f(a, b, c, d):
        return a

    started = time.monotonic()
    f(Hostile(), [Hostile(), 1], {"k": OfMeta()}, OfMeta)
    assert time.monotonic() - started < 5

    params = recorded(capture)[1]
    assert params["a"] == f"<{__name__}.Hostile>"
    assert params["b"] == [f"<{__name__}.Hostile>", "1"]
    assert params["c.k"] == f"<{__name__}.OfMeta>"
    assert params["d"] == f"{__name__}.OfMeta"
    assert params["f"] == f"<{__name__}.Hostile>"


def test_the_place_of_a_relative_path_is_absolute(capture):
    """A relative path is recorded with the folder it was relative to."""
    Path("here.txt").write_text("x")

    @mlotel.component
    def f(p):
        return None

    f(Path("here.txt"))
    assert capture.span("read p").attributes["ml.artifact.uri"] == f"file://localhost{Path.cwd()}/here.txt"


def test_pipelines_record_only_params(capture):
    """A decorated pipeline records scalars as params and leaves data to its components."""

    @mlotel.pipeline
    def p(frame, months=6, config=Config(3)):  # noqa: B008 - never changed
        return frame

    p(FRAME)
    attributes = capture.ml_attributes(capture.span("pipeline p"))
    assert {key for key in attributes if "param" in key} == {
        "ml.param.months", "ml.param.config.depth", "ml.param.config.path", "ml.param.config.nested",
    }  # fmt: skip
    assert [span.name for span in capture.spans()] == ["pipeline p"]
