"""Wrong calls are errors at once: of mlotel and of the matching built-in, with the value found and the way out."""

import math

import numpy as np
import pytest

import mlotel
from mlotel import errors

NAME = "Pass a string: mlotel.{0}('clean'); to wrap a function, decorate it with @mlotel.{0}."
COMPONENT_TAKES = (
    "It takes name, type, owner, description, before, after, on_failure, stale_after_s, memory, inputs, outputs."
)
PIPELINE_TAKES = "It takes name, experiment, params, tags, run_id."
OUTPUTS = "Write outputs='clean' or outputs=['train', 'test']."
TYPES = "dataset, features, model, predictions, labels, reference, checkpoint, metrics, file, other"


class Silent:
    """Raises when it is shown."""

    def __repr__(self):
        raise RuntimeError

    __str__ = __len__ = __bool__ = __repr__


CALLS = [
    # names
    (lambda: mlotel.component(""), "component() got an empty name. Pass a name that people will recognise."),
    (lambda: mlotel.component("  "), "component() got an empty name. Pass a name that people will recognise."),
    (lambda: mlotel.pipeline(""), "pipeline() got an empty name. Pass a name that people will recognise."),
    (lambda: mlotel.component(3), "component() got 3 as its name. " + NAME.format("component")),
    (lambda: mlotel.pipeline(b"x"), "pipeline() got a bytes as its name. " + NAME.format("pipeline")),
    (lambda: mlotel.component(Silent()), "component() got a Silent as its name. " + NAME.format("component")),
    (
        lambda: mlotel.component().__enter__(),
        "component() as a context manager needs a name: with mlotel.component('clean') as c: …",
    ),
    (
        lambda: mlotel.pipeline().__enter__(),
        "pipeline() as a context manager needs a name: with mlotel.pipeline('nightly') as run: …",
    ),
    # unknown keywords
    (
        lambda: mlotel.component("c", onwer="me"),
        "component() got an unknown keyword 'onwer'. Did you mean 'owner'? " + COMPONENT_TAKES,
    ),
    (lambda: mlotel.component("c", zzz=1), "component() got an unknown keyword 'zzz'. " + COMPONENT_TAKES),
    (
        lambda: mlotel.pipeline("p", parms={}),
        "pipeline() got an unknown keyword 'parms'. Did you mean 'params'? " + PIPELINE_TAKES,
    ),
    (
        lambda: mlotel.read(1, nam="x"),
        "read() got an unknown keyword 'nam'. Did you mean 'name'? It takes name, uri, type, made_by.",
    ),
    (
        lambda: mlotel.write(1, urii="x"),
        "write() got an unknown keyword 'urii'. Did you mean 'uri'? It takes name, uri, type.",
    ),
    # words of a component
    (lambda: mlotel.component("c", type=5), "component() got type=5. Pass a string."),
    (
        lambda: mlotel.component("c", owner=""),
        "component() got an empty owner. Pass a name that people will recognise.",
    ),
    (lambda: mlotel.component("c", description=["x"]), "component() got description=a list. Pass a string."),
    (
        lambda: mlotel.component("c", on_failure="rise"),
        "component() got on_failure='rise'. Did you mean 'raise'? Use one of: record, warn, raise.",
    ),
    (lambda: mlotel.component("c", on_failure=True), "component() got on_failure=True. Pass a string."),
    (lambda: mlotel.component("c", memory="rss"), "component() got memory='rss'. Use one of: trace."),
    (
        lambda: mlotel.component("c", stale_after_s="1h"),
        "component() got stale_after_s='1h'. Pass seconds as a number.",
    ),
    (
        lambda: mlotel.component("c", stale_after_s=True),
        "component() got stale_after_s=True. Pass seconds as a number.",
    ),
    (
        lambda: mlotel.component("c", stale_after_s=0),
        "component() got stale_after_s=0. Pass a positive number of seconds.",
    ),
    (
        lambda: mlotel.component("c", stale_after_s=-1.5),
        "component() got stale_after_s=-1.5. Pass a positive number of seconds.",
    ),
    (
        lambda: mlotel.component("c", stale_after_s=math.nan),
        "component() got stale_after_s=nan. Pass a positive number of seconds.",
    ),
    (
        lambda: mlotel.component("c", stale_after_s=math.inf),
        "component() got stale_after_s=inf. Pass a positive number of seconds.",
    ),
    # checks, inputs, outputs
    (lambda: mlotel.component("c", before=5), "component() got before=5. Pass a list of functions."),
    (lambda: mlotel.component("c", after="check"), "component() got after='check'. Pass a list of functions."),
    (
        lambda: mlotel.component("c", after=[len, "x"]),
        "component() got 'x' in after. Every check must be a function.",
    ),
    (
        lambda: mlotel.component("c", inputs=["a"]),
        "component() got inputs=a list. Pass a dict: inputs={'depth': 6}.",
    ),
    (
        lambda: mlotel.component("c", inputs={"a": ""}),
        "component() got an empty inputs['a']. Pass a name that people will recognise.",
    ),
    (lambda: mlotel.component("c", inputs={"a": 1}), "component() got inputs['a']=1. Pass a string."),
    (
        lambda: mlotel.component("c", outputs=3),
        "component() got outputs that is neither a name nor a list of names. " + OUTPUTS,
    ),
    (lambda: mlotel.component("c", outputs=["a", 2]), "component() got outputs=2. Pass a string."),
    (
        lambda: mlotel.component("c", outputs=""),
        "component() got an empty outputs. Pass a name that people will recognise.",
    ),
    # pipelines
    (
        lambda: mlotel.pipeline("p", params=[1]),
        "pipeline() got params=a list. Pass a dict: params={'depth': 6}.",
    ),
    (
        lambda: mlotel.pipeline("p", params={1: 2}),
        "pipeline() got params with the key 1. Keys must be strings.",
    ),
    (lambda: mlotel.pipeline("p", tags="x"), "pipeline() got tags='x'. Pass a dict: tags={'depth': 6}."),
    (lambda: mlotel.pipeline("p", tags=0), "pipeline() got tags=0. Pass a dict: tags={'depth': 6}."),
    (lambda: mlotel.pipeline("p", experiment=7), "pipeline() got experiment=7. Pass a string."),
    (
        lambda: mlotel.pipeline("p", run_id=""),
        "pipeline() got an empty run_id. Pass a name that people will recognise.",
    ),
    (lambda: mlotel.pipeline("p", run_id=5), "pipeline() got run_id=5. Pass a string."),
    # artifacts
    (lambda: mlotel.read(1, name=""), "read() got an empty name. Pass a name that people will recognise."),
    (lambda: mlotel.read(1, name=3), "read() got name=3. Pass a string."),
    (lambda: mlotel.write(1, uri=3), "write() got uri=3. Pass a string."),
    (
        lambda: mlotel.write(1, type="modle"),
        f"write() got type='modle'. Did you mean 'model'? Use one of: {TYPES}.",
    ),
    (lambda: mlotel.read(1, type=int), "read() got type=a type. Pass a string."),
    # carry
    (
        lambda: mlotel.carry(3),
        "carry() got int, which cannot be called. Pass the function itself: pool.map(mlotel.carry(work), items).",
    ),
    # with statements by hand
    (
        lambda: mlotel.component("clean").__exit__(None, None, None),
        "__exit__() was called, and nothing is open. Leave it to a with statement.",
    ),
    (
        lambda: mlotel.pipeline("nightly").__exit__(None, None, None),
        "__exit__() was called, and nothing is open. Leave it to a with statement.",
    ),
    # checks' results
    (
        lambda: mlotel.Check("ok"),
        "Check() got a status of type str: 'ok'. Use True or 'passed', False or 'failed', or 'skipped'.",
    ),
    (
        lambda: mlotel.Check(1),
        "Check() got a status of type int. Use True or 'passed', False or 'failed', or 'skipped'.",
    ),
]


@pytest.mark.parametrize(("call", "text"), CALLS, ids=lambda value: value if isinstance(value, str) else "")
@pytest.mark.parametrize("listening", [False, True])
def test_a_wrong_call_says_what_to_do(request, call, text, listening):
    """Every wrong call raises the same text whether or not anybody listens, as MlotelError and the built-in."""
    if listening:
        request.getfixturevalue("capture")
    with pytest.raises(errors.MlotelError) as caught:
        call()

    assert str(caught.value) == text
    assert type(caught.value) in (errors.InvalidTypeError, errors.InvalidArgumentError)
    assert isinstance(caught.value, TypeError | ValueError)


REMOVED = [
    (lambda c: c.removed(-1, reason="r"), ValueError, "removed() got rows=-1. Pass zero or more: rows added are no"),
    (lambda c: c.removed(1.0, reason="r"), TypeError, "removed() got rows=1.0. Pass how many were removed, as an"),
    (lambda c: c.removed(True, reason="r"), TypeError, "removed() got rows=True."),
    (lambda c: c.removed(np.True_, reason="r"), TypeError, "removed() got rows=a bool"),
    (lambda c: c.removed("3", reason="r"), TypeError, "removed() got rows='3'."),
    (lambda c: c.removed(None, reason="r"), TypeError, "removed() got rows=None."),
    (lambda c: c.removed([1], reason="r"), TypeError, "removed() got rows=a list."),
    (lambda c: c.removed(2**64, reason="r"), TypeError, "removed() got rows=18446744073709551616."),
    (lambda c: c.removed(1, reason=""), ValueError, "removed() got an empty reason."),
    (lambda c: c.removed(1, reason=None), TypeError, "removed() got reason=None. Pass a string."),
    (lambda c: c.removed(1, reason="r", why=1), TypeError, "removed() got an unknown keyword 'why'. It takes reason."),
    (lambda c: c.read(1, nmae="x"), TypeError, "read() got an unknown keyword 'nmae'. Did you mean 'name'?"),
    (lambda c: c.write(1, type="x"), ValueError, "write() got type='x'. Use one of: dataset,"),
    (lambda c: c.read(1, name=" "), ValueError, "read() got an empty name."),
]


@pytest.mark.parametrize(("call", "builtin", "text"), REMOVED)
@pytest.mark.parametrize("listening", [False, True])
def test_a_wrong_call_on_a_component(request, call, builtin, text, listening):
    """The methods of a component look at their arguments, whether or not anybody listens."""
    if listening:
        request.getfixturevalue("capture")
    with mlotel.component("c") as c, pytest.raises(errors.MlotelError) as caught:
        call(c)

    assert str(caught.value).startswith(text)
    assert isinstance(caught.value, builtin)


def test_a_wrong_declaration_is_refused_each_time(capture):
    """Declarations that say the same are prepared once; a wrong one is refused also the second time."""
    for _ in range(2):
        mlotel.component("c", type="t", stale_after_s=1)
        with pytest.raises(errors.InvalidTypeError):
            mlotel.component("c", type="t", stale_after_s=True)
        with pytest.raises(errors.InvalidTypeError):
            mlotel.component("c", type=["t"])


def test_a_wrong_call_passes_through_the_component(capture):
    """A wrong call inside a component ends it like any error of the program."""
    with pytest.raises(errors.InvalidTypeError), mlotel.component("c") as c:
        c.read(1, name=3)

    assert capture.span("component c").attributes["error.type"] == "mlotel.errors.InvalidTypeError"


def test_a_failed_check_reads_as_one():
    """CheckFailed says the check, and its message where there is one."""
    assert str(errors.CheckFailed("rows", "too few")) == "Check 'rows' failed: too few"
    assert str(errors.CheckFailed("rows", "")) == "Check 'rows' failed."
