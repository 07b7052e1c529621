"""Which libraries are instrumented, when, and that nothing remains afterwards."""

import subprocess
import sys
import textwrap
import threading
from importlib import metadata

import pytest

import mlotel
from mlotel import _settings, instrumentation
from mlotel._setup import _configure
from mlotel.errors import InvalidTypeError, MlotelError, NotFoundError

IO = ["joblib", "numpy", "pandas", "pickle", "polars", "pyarrow", "torch"]


def installed():
    return sorted(instrumentation._installed)


def present():
    """Those of the group that are installed here."""

    def has(name):
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            return name == "pickle"
        return True

    return [name for name in IO if has(name)]


def run(program, *options):
    """What a program prints, in a fresh interpreter where every warning is an error."""
    command = [sys.executable, "-W", "error", *options, "-c", textwrap.dedent(program)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_a_library_by_name():
    """One name instruments one library, and taking it back leaves the others."""
    mlotel.instrument("pandas", "numpy")
    assert installed() == ["numpy", "pandas"]

    mlotel.uninstrument("pandas")
    assert installed() == ["numpy"]
    mlotel.uninstrument()
    assert installed() == []


def test_a_group_is_what_is_installed_of_it():
    """`io` stands for the libraries that read and write files, as far as they are installed."""
    mlotel.instrument("io")

    assert installed() == present()
    mlotel.uninstrument("io")
    assert installed() == []


def test_no_name_is_everything_that_is_installed():
    """Without names everything supported is instrumented, silently."""
    mlotel.instrument()

    assert set(present()) <= set(installed())


@pytest.mark.parametrize(
    ("call", "name", "words"),
    [
        (
            "instrument",
            "panda",
            "instrument() got 'panda', which does not exist. Did you mean 'pandas'? There are: io, ",
        ),
        ("instrument", "_base", "instrument() got '_base', which does not exist."),
        ("uninstrument", "polar", "uninstrument() got 'polar', which does not exist. Did you mean 'polars'?"),
    ],
)
def test_an_unknown_name_is_an_error_that_lists_the_known_ones(call, name, words):
    """A wrong name raises before anything is instrumented, with the nearest right one."""
    with pytest.raises(NotFoundError) as raised:
        getattr(mlotel, call)("pickle", name)

    assert words in str(raised.value)
    assert isinstance(raised.value, LookupError)
    assert isinstance(raised.value, MlotelError)
    assert installed() == []


def test_a_wrong_type_is_an_error():
    """A module instead of its name is refused."""
    with pytest.raises(InvalidTypeError, match=r"instrument\(\) got a value of type module. Pass names: io, joblib"):
        mlotel.instrument(sys)


@pytest.fixture
def absent(monkeypatch, tmp_path):
    """A library that mlotel supports and that is not installed, as another distribution would add it."""
    plugin = "REQUIRES = 'surely-absent>=1.5'\ndef install(patch): raise AssertionError('it is not there')\n"
    (tmp_path / "absent_plugin.py").write_text(plugin)
    information = tmp_path / "other-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[mlotel.instrumentation]\nsurelyabsent = absent_plugin\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("absent_plugin", None)


def test_an_absent_library_is_an_error_that_says_how_to_install_it(absent):
    """Asked for by name it raises; without names it is left out."""
    with pytest.raises(NotFoundError) as raised:
        mlotel.instrument("surelyabsent")

    assert str(raised.value) == (
        "instrument() got 'surelyabsent', which is not installed. Install it: pip install 'surely-absent>=1.5'"
    )
    mlotel.instrument()
    assert "surelyabsent" not in installed()


def test_a_library_that_is_too_old_is_an_error_that_says_so(absent):
    """A version that was never tested is not touched; a preview of a later one is."""
    information = absent / "surely_absent-1.2.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: surely-absent\nVersion: 1.6.0rc1\n")
    assert instrumentation.resolve(["surelyabsent"]) == ["surelyabsent"]
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: surely-absent\nVersion: 1.2\n")

    with pytest.raises(NotFoundError) as raised:
        mlotel.instrument("surelyabsent")

    assert "but surely-absent 1.2 is installed and mlotel needs surely-absent>=1.5: pip install" in str(raised.value)


def test_a_library_that_came_under_another_name_counts(absent):
    """Where there are no metadata of that name, a module that can be imported does; so polars-lts-cpu is polars."""
    (absent / "surelyabsent.py").write_text("")

    assert instrumentation.resolve(["surelyabsent"]) == ["surelyabsent"]


def test_a_plugin_of_another_distribution_that_says_nonsense_is_left_out(absent):
    """A requirement that cannot be read is said to who asks by name; without names the plugin is left out."""
    (absent / "absent_plugin.py").write_text("REQUIRES = '>=!'\ndef install(patch): raise AssertionError\n")

    with pytest.raises(NotFoundError, match="whose requirement '>=!' cannot be read"):
        mlotel.instrument("surelyabsent")
    mlotel.instrument()
    assert "surelyabsent" not in installed()


@pytest.mark.lenient
def test_a_library_that_cannot_be_instrumented_does_not_stop_the_others(absent, caplog):
    """What goes wrong in one instrumentation is logged, and the others are installed."""
    (absent / "surelyabsent.py").write_text("")

    mlotel.instrument("surelyabsent", "pickle")

    assert "could not instrument surelyabsent (AssertionError: it is not there)" in caplog.text
    assert "pickle" in installed()


def test_again_changes_nothing():
    """The second time finds everything replaced and replaces nothing."""
    import pandas as pd

    mlotel.instrument("pandas")
    once = pd.read_csv
    mlotel.instrument("pandas", "pandas")
    mlotel.instrument("io")

    assert pd.read_csv is once
    mlotel.uninstrument("pandas")
    mlotel.uninstrument("pandas")
    assert pd.read_csv is once.__wrapped__


def everything(roots):
    """Each attribute of each loaded module of some libraries, and of the classes whose methods are replaced."""
    import pandas as pd
    import polars as pl

    held = {
        (name, attribute): value
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] in roots and module is not None
        for attribute, value in list(vars(module).items())
    }
    for kind in (*pd.DataFrame.__mro__, *pd.Series.__mro__, pl.DataFrame, pl.LazyFrame):
        held.update({(kind, attribute): value for attribute, value in vars(kind).items()})
    return held


def test_off_leaves_every_function_as_it_was():
    """After uninstrument() every attribute of every module and class is the very object that it was, and no more."""
    import pyarrow.csv
    import pyarrow.dataset
    import pyarrow.feather
    import pyarrow.json
    import pyarrow.orc
    import pyarrow.parquet  # noqa: F401 - all of them are looked at

    before = everything(IO)
    mlotel.instrument("io")
    replaced = {key for key, value in everything(IO).items() if value is not before.get(key)}
    sites = sum(len(patch.sites) for patch in instrumentation._installed.values())

    mlotel.uninstrument()

    after = everything(IO)
    assert len(replaced) >= sites > 100
    assert after.keys() == before.keys()
    assert [key for key, value in after.items() if value is not before[key]] == []


def test_every_function_can_be_pickled_by_name():
    """Each function that is replaced can be pickled and is found again, by this process and by one without mlotel."""
    import pickle

    import pandas  # noqa: F401 - looked at below
    import polars  # noqa: F401 - as above
    import pyarrow.parquet  # noqa: F401 - as above

    mlotel.instrument("io")
    count = 0
    for patch in instrumentation._installed.values():
        for owner, name, _ in patch.sites:
            function = getattr(owner, name)
            assert pickle.loads(pickle.dumps(function)) is function, (owner, name)
            assert b"mlotel" not in pickle.dumps(function)
            count += 1
    assert count > 100


def test_nothing_is_imported_for_it():
    """Instrumenting loads none of the libraries; importing them later instruments them."""
    printed = run(
        """
        import sys, mlotel
        mlotel.instrument("io")
        print(*{"numpy", "pandas", "polars", "pyarrow", "joblib", "torch"} & set(sys.modules), "|")
        import pandas, polars, joblib, numpy
        for function in (pandas.read_csv, pandas.DataFrame.to_csv, polars.read_csv, joblib.load, numpy.load):
            print(hasattr(function, "__wrapped__") and function.__code__.co_filename.startswith("<mlotel"))
        print("pyarrow.orc" in sys.modules)
        import pyarrow.parquet, pyarrow.orc
        print(hasattr(pyarrow.parquet.read_table, "__wrapped__"), hasattr(pyarrow.orc.read_table, "__wrapped__"))
        print(pyarrow.parquet.read_table is pyarrow.parquet.core.read_table)
        """
    )

    assert printed == ["|", *["True"] * 5, "False", "True", "True", "True"]


def test_taken_back_before_the_import_nothing_is_replaced():
    """A library that is imported after uninstrument() is as it always was."""
    printed = run(
        """
        import mlotel
        mlotel.instrument("io")
        mlotel.uninstrument("io")
        import joblib, numpy
        print(joblib.load.__module__, joblib.load.__code__.co_filename.startswith("<mlotel"))
        mlotel.instrument("io")
        print(joblib.load.__code__.co_filename.startswith("<mlotel"))
        """
    )

    assert printed == ["joblib.numpy_pickle", "False", "True"]


def test_importing_mlotel_replaces_nothing():
    """What is not instrumented is not touched: the functions are the originals, with nothing around them."""
    printed = run(
        """
        import pickle, numpy
        before = pickle.load, pickle.dump, numpy.load, numpy.save
        import mlotel, mlotel.testing, mlotel.instrumentation
        with mlotel.testing.capturing(), mlotel.component("a"):
            after = pickle.load, pickle.dump, numpy.load, numpy.save
            print(all(one is other for one, other in zip(before, after)))
        """
    )

    assert printed == ["True"]


def test_many_threads_at_once():
    """Threads that instrument and take back at once leave either everything or nothing."""
    import pandas as pd

    original = pd.read_csv
    barrier = threading.Barrier(6)
    failed = []

    def work():
        try:
            barrier.wait()
            for _ in range(20):
                mlotel.instrument("pandas", "pickle")
                mlotel.uninstrument("pandas")
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    mlotel.uninstrument()

    assert failed == []
    assert pd.read_csv is original


def test_disabled_means_nothing_is_replaced(monkeypatch):
    """Under MLOTEL_DISABLED=true names are checked and functions stay as they are."""
    monkeypatch.setattr(_settings, "_disabled", True)

    mlotel.instrument("io")
    assert installed() == []
    with pytest.raises(NotFoundError, match="panda"):
        mlotel.instrument("panda")


def test_configure_instruments_and_shutdown_takes_it_back():
    """`configure(instrument=…)` instruments until shutdown, but for what was instrumented before."""
    mlotel.instrument("numpy")
    telemetry = mlotel.configure("test", spool=False, quiet=True, instrument=["io"])
    try:
        assert installed() == present()
    finally:
        telemetry.shutdown(0)

    assert installed() == ["numpy"]


def test_configure_takes_names_from_the_environment(monkeypatch):
    """`MLOTEL_INSTRUMENT` names libraries and groups, with commas."""
    monkeypatch.setenv("MLOTEL_INSTRUMENT", "pickle, numpy")
    telemetry = mlotel.configure("test", spool=False, quiet=True)
    try:
        assert installed() == ["numpy", "pickle"]
    finally:
        telemetry.shutdown(0)


@pytest.mark.parametrize("name", ["nonsense", "surelyabsent"])
def test_configure_refuses_a_name_before_anything_is_set_up(name, absent):
    """An unknown or absent library raises, and configure() can be called again as if nothing had happened."""
    with pytest.raises(NotFoundError, match=rf"configure\(\) got instrument='{name}', which"):
        mlotel.configure("test", spool=False, quiet=True, instrument=["pickle", name])

    assert installed() == []
    mlotel.configure("another", spool=False, quiet=True).shutdown(0)


def test_worker_processes_are_instrumented_alike():
    """What sets a worker up like its parent instruments it too."""
    telemetry = mlotel.configure("test", spool=False, quiet=True, instrument=["pickle"])
    restore, snapshot = _settings.current.restore
    telemetry.shutdown(0)
    assert installed() == []

    restore(snapshot)

    assert installed() == ["pickle"]
    mlotel.configure("test", spool=False, quiet=True, instrument=["pickle"]).shutdown(0)


@pytest.mark.lenient
def test_a_worker_without_the_library_works_without_it(caplog):
    """In a worker that lacks a library the failure is logged, and everything else is set up."""
    telemetry = mlotel.configure("test", spool=False, quiet=True, instrument=["pickle"])
    restore, snapshot = _settings.current.restore
    telemetry.shutdown(0)

    restore({**snapshot, "instrument": ["surelyabsent"]})

    assert "could not set up a worker process" in caplog.text
    assert installed() == []
    assert _settings.current.restore is not None
    _configure._holder.active.telemetry.shutdown(0)
