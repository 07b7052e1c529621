"""References: what is fitted, from which tables, and what the file of one holds."""

import hashlib
import json
import logging
import pickle
import re

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import mlotel
from mlotel import artifacts
from mlotel.drift import Detector, Reference
from mlotel.errors import EmptySampleError, InvalidArgumentError, InvalidTypeError, NotFoundError


def table(rows=3000, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "age": rng.normal(40, 9, rows),
        "stops": rng.poisson(3, rows),
        "carrier": rng.choice(["AA", "DL", "UA", "WN"], rows, p=[0.4, 0.3, 0.2, 0.1]),
        "late": rng.random(rows) < 0.3,
        "note": np.array([f"{place} " + "x" * int(n) for place, n in enumerate(rng.poisson(20, rows))]),
        "at": np.datetime64("2025-01-01") + rng.integers(0, 86_400 * 30, rows).astype("m8[s]").astype("m8[ms]"),
    }


def as_pandas(values):
    return pd.DataFrame(values)


def as_arrow(values):
    return pa.table({name: pa.array(column) for name, column in values.items()})


SHAPES = {
    "pandas": as_pandas,
    "pandas numpy strings": lambda values: pd.DataFrame({**values, "carrier": values["carrier"].astype(object)}),
    "pandas categorical": lambda values: as_pandas(values).astype({"carrier": "category"}),
    "pandas nullable": lambda values: as_pandas(values).convert_dtypes(),
    "polars": lambda values: pl.DataFrame(values),
    "polars categorical": lambda values: pl.DataFrame(values).with_columns(pl.col("carrier").cast(pl.Categorical)),
    "arrow": as_arrow,
    "arrow dictionary": lambda values: as_arrow(values).set_column(
        2, "carrier", as_arrow(values)["carrier"].dictionary_encode()
    ),
    "dict": lambda values: values,
    "lists": lambda values: {name: list(column) for name, column in values.items()},
    "rows": lambda values: [
        dict(zip(values, row, strict=True)) for row in zip(*map(list, values.values()), strict=True)
    ],
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_kind_of_table_gives_the_same_reference(shape):
    """The same rows in pandas, polars, pyarrow, arrays or lists are fitted to the same counts and kinds."""
    values = table()
    expected, found = Reference.fit(values), Reference.fit(SHAPES[shape](values))

    assert [(p.name, p.kind) for p in found.profiles] == [
        ("age", "numeric"), ("stops", "integer"), ("carrier", "category"), ("late", "boolean"), ("note", "text"),
        ("at", "datetime"),
    ]  # fmt: skip
    assert artifacts.identify(found) == artifacts.identify(expected)


def test_arrays_have_columns_named_by_position():
    """Columns of a 2-D array are called "0", "1", …"""
    assert Reference.fit(np.random.default_rng(0).normal(size=(200, 3))).names == ("0", "1", "2")


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([0.5, 1.5, 2.5, np.nan], "numeric"),
        ([1, 2, 3, 4], "integer"),
        ([0, 1, 0, 1], "boolean"),
        ([0.0, 1.0, np.nan, 1.0], "boolean"),
        (["no", "yes", "no", None], "boolean"),
        (["a", "b", "c", None], "category"),
        ([True, False, None, True], "boolean"),
        ([pd.Timestamp("2025-01-01"), pd.Timestamp("2025-01-02"), pd.NaT, pd.Timestamp("2025-01-05")], "datetime"),
        ([pd.Timedelta("1h"), pd.Timedelta("2h"), pd.Timedelta("3h"), pd.Timedelta("4h")], "numeric"),
    ],
)
def test_kinds_are_told_by_values(values, kind):
    """Object columns have the kind of the values in them; two distinct values are a boolean."""
    assert Reference.fit({"x": values * 50})["x"].kind == kind


def test_kinds_can_be_declared():
    """A declared kind is used instead of the inferred one: categories of numbers, lengths of labels, hours of times."""
    values = table()
    reference = Reference.fit(values, kinds={"stops": "category", "carrier": "text", "at": "datetime+hour"})
    hours = Reference.fit({"at": values["at"]}, kinds={"at": "hour"})

    assert reference["stops"].labels[:2] == ("3", "2") or reference["stops"].labels[:2] == ("2", "3")
    assert reference["carrier"].kind == "text"
    assert reference["carrier"].minimum == reference["carrier"].maximum == 2
    assert reference.names[-2:] == ("at", "at.hour")
    assert (reference["at.hour"].minimum, reference["at.hour"].maximum) == (0, 23)
    assert hours.names == ("at",)
    assert hours["at"].counts.tolist() == reference["at.hour"].counts.tolist()
    assert reference["at.hour"].share == 0.5
    assert reference["at"].minimum == pytest.approx(1_735_689_600, abs=3600)


def test_rare_names_are_not_kept():
    """Names with fewer than 20 rows are nowhere in the file; their rows are counted as unseen."""
    names = ["common"] * 900 + [f"person-{place}" for place in range(60)] + ["seldom"] * 19 + ["often"] * 400
    reference = Reference.fit({"name": np.random.default_rng(0).permutation(names)}, kinds={"name": "category"})
    text = json.dumps(reference.to_dict())

    assert reference["name"].labels == ("common", "often")
    assert reference["name"].counts.tolist() == [900, 400, 0, 79, 0]
    assert "person" not in text
    assert "seldom" not in text


def test_a_file_gives_back_every_bit(tmp_path):
    """Loading what was saved gives an equal reference, whatever its numbers, and saving that gives the same bytes."""
    rng = np.random.default_rng(1)
    values = {**table(), "tiny": rng.normal(size=3000) * 1e-300, "vector": rng.normal(size=(3000, 12))}
    values["wild"] = np.where(rng.random(3000) < 0.1, np.inf, rng.standard_cauchy(3000) * 1e200)
    reference = Reference.fit(
        values, predictions=rng.random(3000), labels=rng.random(3000) < 0.2, model="xxh3:" + "0" * 32
    )
    reference.trace_id, reference.span_id = "1" * 32, "2" * 16
    again = Reference.load(reference.save(tmp_path / "reference.json"))

    for one, other in zip(reference.profiles, again.profiles, strict=True):
        for name in ("counts", "limit_counts", "edges", "sums", "deciles"):
            ours, theirs = getattr(one, name), getattr(other, name)
            assert (ours is None and theirs is None) or ours.tobytes() == theirs.tobytes(), (one.name, name)
        assert one.moments == other.moments or any(map(np.isnan, one.moments))
        assert (one.center, one.scale, one.labels, one.late) == (other.center, other.scale, other.labels, other.late)
    assert again.to_dict() == reference.to_dict()
    assert (again.model_id, again.trace_id, again.span_id) == ("xxh3:" + "0" * 32, "1" * 32, "2" * 16)
    assert again.save(tmp_path / "again.json").read_bytes() == (tmp_path / "reference.json").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["again.json", "reference.json"]


def test_the_file_of_twenty_features_is_small_and_readable(tmp_path):
    """Twenty features of 100,000 rows take at most 150 KB of JSON, a line a feature."""
    rng = np.random.default_rng(2)
    values = {f"n{place}": rng.normal(size=100_000) for place in range(10)}
    values |= {
        f"c{place}": np.array([f"category {i:04}" for i in range(900)])[rng.integers(0, 900, 100_000)]
        for place in range(10)
    }
    path = Reference.fit(values).save(tmp_path / "reference.json")

    assert path.stat().st_size <= 150_000
    assert json.loads(path.read_text())["format"] == "mlotel.reference"
    assert re.search(r'^ \{"name": "n3",', path.read_text(), re.MULTILINE)


def signed(plain):
    """The text of a file that somebody meant to be as it is."""
    plain.pop("digest", None)
    text = json.dumps(plain, sort_keys=True)
    digest = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    return json.dumps({**plain, "digest": f"blake2b:{digest}"}, indent=1)


def test_files_of_other_versions_are_read_or_refused(tmp_path):
    """A newer file with fields unknown here is read when it says that it may be, and refused when not."""
    path = Reference.fit(table()).save(tmp_path / "reference.json")
    plain = json.loads(path.read_text())
    plain["version"], plain["later"] = 7, {"anything": 1}
    plain["features"][0]["later"] = [1, 2]
    path.write_text(signed(plain))

    assert Reference.load(path).names == tuple(table())

    plain["readable_from"] = 7
    path.write_text(signed(plain))
    with pytest.raises(InvalidArgumentError, match=r"version 7 .* reads up to version 1\. Update mlotel"):
        Reference.load(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no reference"),
        ("[1, 2]", "is no reference"),
        ('{"format": "something else"}', "is no reference"),
        ('{"format": "mlotel.reference", "version": 1, "readable_from": 1, "rows": 1}', "is damaged"),
    ],
)
def test_other_files_are_refused(tmp_path, text, message):
    """Anything else than a reference is refused with a message that says what to do."""
    (tmp_path / "x.json").write_text(text)

    with pytest.raises(InvalidArgumentError, match=message):
        Reference.load(tmp_path / "x.json")
    with pytest.raises(NotFoundError, match="There is no reference at"):
        Reference.load(tmp_path / "y.json")


def test_counts_that_do_not_add_up_are_refused(tmp_path):
    """A file whose numbers contradict each other is damaged, not half read."""
    path = Reference.fit(table()).save(tmp_path / "reference.json")
    plain = json.loads(path.read_text())
    plain["features"][0]["counts"][3] += 1
    path.write_text(signed(plain))

    with pytest.raises(InvalidArgumentError, match="do not add up"):
        Reference.load(path)


EDITS = {
    "a number": lambda text: text.replace('"tolerance": 0.0', '"tolerance": 0.4', 1),
    "a count moved": lambda text: re.sub(r'"counts": \[(\d+),(\d+)', r'"counts": [\2,\1', text, count=1),
    "a name": lambda text: text.replace("carrier", "courier"),
    "a key twice": lambda text: text.replace('"rows": 3000', '"rows": 2999,\n"rows": 3000', 1),
    "no number": lambda text: text.replace('"rows": 3000', '"rows": NaN', 1),
    "beyond numbers": lambda text: text.replace('"rows": 3000', '"rows": 1e999', 1),
    "cut": lambda text: text[: len(text) // 2],
    "twice": lambda text: text + text,
    "too deep": lambda text: '{"format": ' + "[" * 200_000,
    "other end": lambda text: text.replace("blake2b:", "blake2b:0"),
}


@pytest.mark.parametrize("edit", EDITS)
def test_edited_files_are_refused(tmp_path, edit):
    """Whatever is changed in a file by hand or by accident, it is refused with what to do, and never decided upon."""
    path = Reference.fit(table()).save(tmp_path / "reference.json")
    text = path.read_text()
    assert EDITS[edit](text) != text
    path.write_text(EDITS[edit](text))

    with pytest.raises(
        InvalidArgumentError, match=r"reference\.json is (damaged|no reference).* Reference\.save\(\) wrote"
    ):
        Reference.load(path)


def test_files_laid_out_otherwise_are_read(tmp_path):
    """Spaces, line ends, the order of fields and the mark that some editors put first change nothing."""
    reference = Reference.fit(table())
    path = reference.save(tmp_path / "reference.json")
    plain = json.loads(path.read_text())
    path.write_text("\ufeff" + json.dumps(plain, indent=3, sort_keys=True).replace("\n", "\r\n"))

    assert Reference.load(path).to_dict() == reference.to_dict()


def test_large_files_are_refused_unread(tmp_path):
    """A file far larger than any reference is refused without being read: it may be the model."""
    path = tmp_path / "model.bin"
    with path.open("wb") as file:
        file.truncate(5_000_000_000)  # takes no room on the disk

    with pytest.raises(InvalidArgumentError, match="5,000,000,000 bytes"):
        Reference.load(path)


@pytest.mark.parametrize("wrong", [None, "x", -1, 1e308, float("nan"), [], {}, True, 10**30, [[1]]])
def test_wrong_fields_are_refused(wrong):
    """A dict with a value of another type or range in any field that decides anything is refused."""
    plain = Reference.fit({"a": table()["age"], "c": table()["carrier"], "v": np.ones((3000, 2))}).to_dict()
    text = json.dumps(plain)
    for place in range(len(plain["features"])):
        for name in plain["features"][place]:
            changed = json.loads(text)
            if changed["features"][place][name] == wrong:
                continue
            changed["features"][place][name] = wrong
            try:
                found = Reference.from_dict(changed)
            except InvalidArgumentError as error:
                assert "damaged" in str(error)  # noqa: PT017 - some fields may be anything of their type
            else:
                str(Detector(found).check())
                assert name in {"center", "scale", "minimum", "maximum", "median", "late", "uncertain", "design_effect"}


def test_surrogates_in_names_are_kept(tmp_path):
    """Half a character, as broken text has it, in names of categories and of columns goes through files and states."""
    broken = {"\udc80column": ["\ud800", "b\udfff", "c"] * 100}
    reference = Reference.fit(broken)
    again = Reference.load(reference.save(tmp_path / "reference.json"))
    detector = Detector(again)
    detector.update(broken)

    assert again["\udc80column"].labels == reference["\udc80column"].labels
    assert "\ud800" in again["\udc80column"].labels
    assert Detector.from_state(detector.state()).state() == detector.state()
    assert artifacts.identify(again) == artifacts.identify(reference)


def test_long_names_of_any_alphabet_fit_into_the_file(tmp_path):
    """Twenty columns of 900 long names in letters of four bytes each still take at most 150 KB."""
    rng = np.random.default_rng(3)
    names = np.array([f"{i:04} " + "𝔪𝔩" * 35 for i in range(900)])
    path = Reference.fit({f"c{place}": names[rng.integers(0, 900, 40_000)] for place in range(20)}).save(
        tmp_path / "reference.json"
    )

    assert path.stat().st_size <= 150_000


SCORED = {"X": {"a": [1.0] * 100}, "predictions": [0.25, 0.75] * 50, "labels": ["no", "yes"] * 50}


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"X": {}}, EmptySampleError, "without columns"),
        ({"X": {"a": []}}, EmptySampleError, "no rows"),
        ({"X": {"a": [1.0] * 99}}, EmptySampleError, "99 rows; it takes 100"),
        ({"X": {"a": [1.0] * 100, "b": [None] * 100}}, EmptySampleError, "'b' has 0 usable values out of 100. Drop"),
        ({"X": {"a": [np.inf] * 100}}, EmptySampleError, "'a' has 0 usable values"),
        ({"X": {"a": [1.0] * 100, "b": [1.0] * 99}}, InvalidArgumentError, "differ in length"),
        ({"X": 7}, InvalidTypeError, "Pass a pandas or polars frame"),
        ({"X": {"a": [1.0] * 100}, "labels": [0] * 99}, InvalidArgumentError, "'label' has 99"),
        ({"X": {"a": [1.0] * 100}, "times": [0] * 99}, InvalidArgumentError, "times= has 99"),
        ({"X": {"a": [1.0] * 100}, "times": ["a"] * 100}, InvalidTypeError, "times= holds text"),
        ({"X": {"a": [1.0] * 100}, "kinds": {"a": "number"}}, InvalidArgumentError, "Use one of numeric"),
        ({"X": {"a": [1.0] * 100}, "kinds": {"b": "numeric"}}, InvalidArgumentError, "no columns. There are a"),
        ({"X": {"a": ["x"] * 100}, "kinds": {"a": "numeric"}}, InvalidTypeError, "declared 'numeric' and holds text"),
        ({"X": {"prediction": [1.0] * 100}, "predictions": [1.0] * 100}, InvalidArgumentError, "Rename it in X"),
        ({"X": {"a": [object()] * 100}}, InvalidArgumentError, "Column 'a' holds values that are no"),
        ({"X": {"a": [1.0] * 100}, "metrics": ["mae"]}, InvalidArgumentError, "needs predictions= and labels="),
        ({"X": {"a": [1.0] * 100}, "metrics": "mae"}, InvalidTypeError, "as lists"),
        ({**SCORED, "metrics": ["auc"]}, InvalidArgumentError, "Use one of mae, mse, bias, accuracy, log_loss, brier"),
        ({**SCORED, "metrics": ["accuracy"]}, InvalidArgumentError, "Pass labels as numbers"),
        ({**SCORED, "metrics": ["mae"]}, InvalidArgumentError, "holds text. Pass numbers, or ask for accuracy"),
        ({**SCORED, "predictions": [3.0] * 100, "metrics": ["brier"]}, InvalidArgumentError, "no probabilities"),
        ({**SCORED, "metrics": ["brier"], "slices": ["b"]}, InvalidArgumentError, "no columns of X: a"),
    ],
)
def test_wrong_calls_are_refused(arguments, error, message):
    """Every mistake raises at once, says what was found and what to do."""
    with pytest.raises(error, match=message) as caught:
        Reference.fit(**arguments)
    assert isinstance(caught.value, mlotel.errors.MlotelError)


def test_small_references_say_what_they_cannot_see(caplog):
    """A reference of 500 rows works, and says at fit time how coarse it is; one of 50,000 says nothing."""
    rng = np.random.default_rng(3)
    with caplog.at_level(logging.WARNING, logger="mlotel"):
        small = Reference.fit({"a": rng.normal(size=500)})
        said = caplog.text
        caplog.clear()
        large = Reference.fit({"a": rng.normal(size=50_000)})

    assert "500 rows" in said
    assert f"a: {small.detectable['a']:.0%}" in small.notes[0]
    assert small.detectable["a"] == pytest.approx(0.1, abs=0.015)
    assert (caplog.text, large.notes) == ("", ())
    assert large.detectable["a"] == pytest.approx(0.02, abs=0.002)


def test_predictions_and_labels_have_profiles_proportions_and_baselines():
    """With labels the file keeps rows, sum and sum of squares of each metric, overall, by score and by slice."""
    rng = np.random.default_rng(4)
    rows = 4000
    score = rng.random(rows)
    truth = (rng.random(rows) < score).astype(int)
    carrier = rng.choice(["AA", "DL"], rows)
    reference = Reference.fit(
        {"carrier": carrier},
        predictions=score,
        labels=truth,
        metrics=["brier", "accuracy", "log_loss"],
        slices=["carrier"],
    )
    brier = np.where(truth == 1, 1 - score, score) ** 2
    right = (score >= 0.5) == (truth == 1)

    assert reference.names == ("carrier", "prediction", "label")
    assert set(reference.proportions) == {"label"}
    assert reference.proportions["label"]["1"] == pytest.approx(truth.mean())
    assert reference.baseline["brier"]["overall"] == pytest.approx([rows, brier.sum(), (brier**2).sum()])
    assert reference.baseline["accuracy"]["overall"][:2] == [rows, right.sum()]
    assert reference.baseline["brier"]["by_slice"]["carrier"]["AA"] == pytest.approx(
        [(carrier == "AA").sum(), brier[carrier == "AA"].sum(), (brier[carrier == "AA"] ** 2).sum()]
    )
    by_score = np.array(reference.baseline["brier"]["by_score"])
    assert by_score.sum(axis=0) == pytest.approx(reference.baseline["brier"]["overall"])
    lowest = score < reference.baseline["brier"]["score_edges"][0]
    assert by_score[0] == pytest.approx([lowest.sum(), brier[lowest].sum(), (brier[lowest] ** 2).sum()])
    assert reference.baseline["log_loss"]["overall"][1] / rows == pytest.approx(
        -np.log(np.where(truth == 1, score, 1 - score)).mean()
    )


def test_regression_and_class_scores_have_baselines_too():
    """Absolute and squared errors of numbers; accuracy of the largest of several scores."""
    rng = np.random.default_rng(5)
    truth = rng.normal(size=1000)
    said = truth + rng.normal(size=1000)
    numbers = Reference.fit({"x": truth}, predictions=said, labels=truth, metrics=["mae", "mse", "bias"])
    scores = rng.dirichlet([1, 1, 1], 1000)
    classes = rng.integers(0, 3, 1000)
    several = Reference.fit({"x": truth}, predictions=scores, labels=classes, metrics=["accuracy"])

    assert numbers.baseline["mae"]["overall"][1] == pytest.approx(np.abs(truth - said).sum())
    assert numbers.baseline["mse"]["overall"][1] == pytest.approx(((truth - said) ** 2).sum())
    assert numbers.baseline["bias"]["overall"][1] == pytest.approx((said - truth).sum())
    assert several.names == ("x", "prediction.0", "prediction.1", "prediction.2", "label")
    assert several.baseline["accuracy"]["overall"][1] == (scores.argmax(axis=1) == classes).sum()
    assert several.proportions["prediction"]["0"] == pytest.approx((scores.argmax(axis=1) == 0).mean())


def test_a_reference_belongs_to_its_model():
    """A reference that knows its model is refused for another one, and taken for its own."""
    from sklearn.tree import DecisionTreeRegressor

    values = {"x": np.random.default_rng(6).normal(size=200)}
    models = [DecisionTreeRegressor(max_depth=depth).fit(values["x"][:, None], values["x"]) for depth in (1, 2)]
    reference = Reference.fit(values, model=models[0])

    assert reference.model_id == artifacts.identify(models[0]).id
    mlotel.drift.Detector(reference, model=models[0])
    with pytest.raises(InvalidArgumentError, match=r"belongs to model xxh3:.* and the model here is xxh3:"):
        mlotel.drift.Detector(reference, model=models[1])


def test_a_reference_is_an_artifact_and_knows_who_wrote_it(capture, tmp_path):
    """Writing it makes a write span of type reference; trace and span are kept, and do not change its identity."""
    reference = Reference.fit(table())
    before = artifacts.identify(reference)
    with mlotel.pipeline("training") as run, mlotel.component("fit") as step:
        step.write(reference, name="flights")
    [span] = capture.spans("write flights")

    assert capture.ml_attributes(span)["ml.artifact.type"] == "reference"
    assert capture.ml_attributes(span)["ml.artifact.id"] == before.id
    assert reference.trace_id == run.trace_id
    assert reference.span_id == f"{span.context.span_id:016x}"
    assert artifacts.identify(reference) == before
    assert Reference.load(reference.save(tmp_path / "r.json")).trace_id == run.trace_id


def test_a_reference_that_is_read_links_to_where_it_was_written(capture):
    """A component that reads an equal reference is linked to the one that wrote it."""
    with mlotel.pipeline("training"), mlotel.component("fit") as step:
        step.write(Reference.fit(table()), name="flights")
    with mlotel.pipeline("serving"), mlotel.component("watch") as step:
        step.read(Reference.fit(table()), name="flights")
    [written], [read] = capture.spans("write flights"), capture.spans("read flights")

    assert [link.context.span_id for link in read.links] == [written.context.span_id]


MODELS = {
    "written object": (lambda step, model, path: step.write(model), lambda model, path: model),
    "read object": (lambda step, model, path: step.read(model), lambda model, path: model),
    "written file": (lambda step, model, path: step.write(path, type="model"), lambda model, path: path),
    "written after read": (
        lambda step, model, path: (step.read(path, type="model"), step.write(model), step.read(path, type="model")),
        lambda model, path: model,
    ),
}


@pytest.mark.parametrize("how", MODELS)
def test_writing_a_reference_tells_it_its_model(capture, tmp_path, how):
    """Written in a component, it belongs to the model the component has written, else read; its own id is the same."""
    from sklearn.tree import DecisionTreeRegressor

    values = table(rows=200)
    model = DecisionTreeRegressor(max_depth=2).fit(np.c_[values["age"]], values["stops"])
    path = tmp_path / "model.bin"
    path.write_bytes(pickle.dumps(model))
    reference = Reference.fit(values)
    before = artifacts.identify(reference)
    with mlotel.component("train") as step:
        step.write(reference, name="too early")
        assert reference.model_id is None
        MODELS[how][0](step, model, path)
        step.write(reference)
    again = Reference.load(reference.save(tmp_path / "reference.json"))

    assert again.model_id == artifacts.identify(MODELS[how][1](model, path)).id
    assert artifacts.identify(again) == before
    Detector(again, model=path)  # which bytes a file has of the same model is not known here, so nothing is refused
    Detector(again, model=model)


def test_a_reference_keeps_the_model_it_was_given(capture):
    """``model=`` is what counts, also where a component has written another model."""
    given = "xxh3:" + "1" * 32
    reference = Reference.fit(table(rows=200), model=given)
    with mlotel.component("train") as step:
        step.write(b"another one", name="tree", type="model")
        step.write(reference)

    assert reference.model_id == given
    with pytest.raises(InvalidArgumentError, match="belongs to model xxh3:1111"):
        Detector(reference, model="xxh3:" + "2" * 32)
