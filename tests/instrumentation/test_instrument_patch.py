"""Functions are replaced without a trace for who calls them, and put back exactly as they were."""

import copy
import functools
import inspect
import operator
import pickle
import sys
import threading
import time
import types
import warnings

import pytest

from mlotel.instrumentation._patch import Patch


class Calls:
    """Counts calls and passes them on."""

    def __init__(self):
        self.count = 0

    def __call__(self, wrapped, args, kwargs):
        self.count += 1
        return wrapped(*args, **kwargs)


@pytest.fixture
def calls():
    return Calls()


@pytest.fixture
def library(monkeypatch):
    """A library with a function under three names, one of them private, and a module that is loaded later."""
    modules = {}
    for name in ("alib", "alib.io", "alib._impl"):
        modules[name] = types.ModuleType(name)
        monkeypatch.setitem(sys.modules, name, modules[name])
    source = '''
def load(path, *, sep: str = ",") -> str:
    """Read it."""
    return f"{path}{sep}"
'''
    exec(source, modules["alib.io"].__dict__)
    modules["alib"].load = modules["alib._impl"].load = modules["alib.io"].load
    return modules


def test_a_function_keeps_its_looks(library, calls):
    """Name, documentation, signature, annotations, module and `__wrapped__` are those of the original."""
    original = library["alib"].load
    patch = Patch()

    patch.around(library["alib"], "load", calls)

    replaced = library["alib"].load
    assert replaced("a", sep=";") == "a;"
    assert calls.count == 1
    assert replaced is not original is replaced.__wrapped__
    assert (replaced.__name__, replaced.__qualname__, replaced.__doc__) == ("load", "load", "Read it.")
    assert inspect.signature(replaced) == inspect.signature(original)
    assert replaced.__annotations__ == original.__annotations__
    assert inspect.isfunction(replaced)


def test_undo_puts_back_the_very_object(library, calls):
    """After undo the attribute is the original, and what somebody has kept only passes calls on."""
    original = library["alib"].load
    patch = Patch()
    patch.around(library["alib"], "load", calls)
    kept = library["alib"].load

    patch.undo()

    assert library["alib"].load is original
    assert kept("a") == "a,"
    assert calls.count == 0
    assert not patch.is_open


def test_the_second_time_is_none(library, calls):
    """Replacing the same attribute again, and anything after undo, does nothing."""
    patch = Patch()
    patch.around(library["alib"], "load", calls)
    once = library["alib"].load

    patch.around(library["alib"], "load", calls)
    assert library["alib"].load is once

    patch.undo()
    patch.undo()
    patch.around(library["alib"], "load", calls)
    assert library["alib"].load is once.__wrapped__


def test_everywhere_means_every_public_name_in_the_library(library, calls):
    """Aliases in public modules are replaced and put back with it; a private module keeps the original."""
    original = library["alib"].load
    patch = Patch()

    patch.around(library["alib"], "load", calls, everywhere=True)

    assert library["alib"].load is library["alib.io"].load is not original
    assert library["alib._impl"].load is original
    patch.undo()
    assert [module.load for module in library.values()] == [original] * 3


def test_a_module_that_was_loaded_meanwhile_is_put_back_too(library, calls, monkeypatch):
    """What took the replacement over from its library gets the original at undo."""
    original = library["alib"].load
    patch = Patch()
    patch.around(library["alib"], "load", calls)
    late = types.ModuleType("alib._late")
    late.load = library["alib"].load
    monkeypatch.setitem(sys.modules, "alib._late", late)

    patch.undo()

    assert late.load is original


def test_functions_can_be_pickled_wherever_they_come_from(library, calls):
    """A function whose home was replaced keeps it; another one says where it can be found."""
    at_home = Patch()
    at_home.around(library["alib"], "load", calls, everywhere=True)
    library["alib.io"].load.__module__ = "alib.io"
    assert pickle.loads(pickle.dumps(library["alib"].load)) is library["alib"].load
    at_home.undo()
    library["alib"].load.__module__ = "alib.io"

    elsewhere = Patch()
    elsewhere.around(library["alib"], "load", calls)
    assert library["alib"].load.__module__ == "alib"
    assert pickle.loads(pickle.dumps(library["alib"].load)) is library["alib"].load
    assert library["alib.io"].load.__module__ == "alib.io"


class Base:
    def inherited(self, number):
        return self, number

    @staticmethod
    def static(number):
        return number

    @classmethod
    def of_class(cls, number):
        return cls, number


class Child(Base):
    def own(self, number):
        return self, number


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("own", types.FunctionType),
        ("inherited", types.FunctionType),
        ("static", staticmethod),
        ("of_class", classmethod),
    ],
)
def test_methods_of_every_kind(name, kind, calls):
    """Plain, inherited, static and class methods are called as before and put back as they were stored."""
    before = dict(vars(Child)), dict(vars(Base))
    child = Child()
    expected = getattr(child, name)(3)
    patch = Patch()

    patch.around(Child, name, calls)

    assert getattr(child, name)(3) == getattr(child, name)(number=3) == expected
    assert calls.count == 2
    assert type(vars(Child)[name]) is kind
    assert dict(vars(Base)) == before[1]
    if name != "of_class":
        assert pickle.loads(pickle.dumps(getattr(Child, name))) is getattr(Child, name)
    patch.undo()
    assert (dict(vars(Child)), dict(vars(Base))) == before


def test_one_instance_can_be_replaced_alone(calls):
    """A method of one object is replaced in the object, and gone from it afterwards."""
    child, other = Child(), Child()
    patch = Patch()

    patch.around(child, "own", calls)

    assert child.own(1) == (child, 1)
    assert other.own(1) == (other, 1)
    assert calls.count == 1
    patch.undo()
    assert vars(child) == {}


def test_what_others_put_over_ours_stays_and_ours_is_inert(library, calls):
    """Undo leaves a foreign wrapper in place; through it calls reach the original and nothing of ours."""
    module = library["alib"]
    original = module.load
    patch = Patch()
    patch.around(module, "load", calls)
    ours = module.load

    @functools.wraps(ours)  # copies every mark of ours
    def foreign(*args, **kwargs):
        return "foreign " + ours(*args, **kwargs)

    module.load = foreign
    patch.undo()

    assert module.load is foreign
    assert module.load("a") == "foreign a,"
    assert calls.count == 0

    again = Patch()
    again.around(module, "load", calls)
    assert module.load("a") == "foreign a,"
    assert calls.count == 1
    again.undo()
    assert module.load is foreign

    module.load = ours  # the foreign wrapper goes as well
    last = Patch()
    last.around(module, "load", calls)
    assert module.load.__wrapped__ is original
    last.undo()
    assert module.load is original


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (1, 2, 0), (0, 2, 1), (2, 0, 1)])
@pytest.mark.parametrize("owner", ["module", "class", "builtin"])
def test_patches_can_be_undone_in_any_order(order, owner, library):
    """Three patches of one function can go in any order; each is inert at once and the original is back at the end."""
    holder, name = {"module": (library["alib"], "load"), "class": (Base, "static"), "builtin": (operator, "index")}[
        owner
    ]
    original = vars(holder)[name]
    counters = [Calls() for _ in range(3)]
    patches = [Patch() for _ in counters]
    for patch, counter in zip(patches, counters, strict=True):
        patch.around(holder, name, counter)
    getattr(holder, name)(3)
    assert [counter.count for counter in counters] == [1, 1, 1]

    alive = [0, 1, 2]
    for number in order:
        patches[number].undo()
        alive.remove(number)
        before = [counter.count for counter in counters]
        getattr(holder, name)(3)
        assert [c.count - b for c, b in zip(counters, before, strict=True)] == [int(n in alive) for n in range(3)]

    assert vars(holder)[name] is original


def test_what_is_written_in_c(calls):
    """It does not bind, is equal to the original, and can be pickled and copied."""
    original = operator.index
    patch = Patch()
    patch.around(operator, "index", calls)

    class Holder:
        index = operator.index

    assert Holder().index(7) == 7
    assert calls.count == 1
    assert operator.index == original
    assert {original: "found"}[operator.index] == "found"
    assert isinstance(operator.index, types.BuiltinFunctionType)
    assert inspect.signature(operator.index) == inspect.signature(original)
    assert copy.copy(operator.index) is copy.deepcopy(operator.index) is operator.index
    assert pickle.loads(pickle.dumps(operator.index)) is operator.index
    patch.undo()
    assert operator.index is original


def test_exceptions_pass(library, calls):
    """The error of the original arrives as it was raised."""
    patch = Patch()
    patch.around(library["alib"], "load", calls)

    with pytest.raises(TypeError, match=r"load\(\) got an unexpected keyword argument 'encoding'"):
        library["alib"].load("a", encoding="utf-8")


@pytest.mark.parametrize("kind", ["function", "method"])
def test_warnings_are_about_the_line_of_the_caller(kind, monkeypatch):
    """A warning that a library attributes to its caller names the same line with and without us."""
    module = types.ModuleType("warner")
    monkeypatch.setitem(sys.modules, "warner", module)
    exec(
        "import warnings\n"
        "def function(): warnings.warn('old', FutureWarning, stacklevel=2)\n"
        "class Kind:\n"
        "    def method(self): warnings.warn('old', FutureWarning, stacklevel=2)\n",
        module.__dict__,
    )

    def places():
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            module.function() if kind == "function" else module.Kind().method()
        return [(warning.filename, warning.lineno) for warning in caught]

    before = places()
    called = []

    def wrapper(wrapped, args, kwargs):
        called.append(wrapped)
        return wrapped(*args, **kwargs)

    patch = Patch()
    patch.around(module if kind == "function" else module.Kind, kind, wrapper)

    assert places() == before
    assert before[0][0] == __file__
    assert len(called) == 1
    patch.undo()


def test_a_missing_attribute_is_said(library, calls):
    """What a library does not have cannot be replaced."""
    with pytest.raises(AttributeError, match="nonsense"):
        Patch().around(library["alib"], "nonsense", calls)


def test_after_import_waits_for_the_import(tmp_path, monkeypatch, calls):
    """What is to be replaced in a module that is not loaded is replaced when it is; nothing is imported before."""
    (tmp_path / "lateone.py").write_text("def load(): return 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    patch = Patch()

    def then(patch):
        import lateone

        patch.around(lateone, "load", calls)

    patch.after_import("lateone", then)
    assert "lateone" not in sys.modules

    import lateone

    assert lateone.load() == 1
    assert calls.count == 1
    patch.undo()
    lateone.load()
    assert calls.count == 1


def test_after_import_of_a_patch_that_is_undone_does_nothing(tmp_path, monkeypatch, calls):
    """Undone before the import, a patch replaces nothing; another one of the same module still does."""
    (tmp_path / "latetwo.py").write_text("def load(): return 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    undone, other = Patch(), Patch()
    told = []
    for patch in (undone, other):
        patch.after_import("latetwo", told.append)

    undone.undo()
    import latetwo  # noqa: F401 - importing it is what is tested

    assert told == [other]


@pytest.mark.lenient
def test_a_failure_after_the_import_never_reaches_who_imports(tmp_path, monkeypatch, caplog):
    """The import goes on; the failure is logged."""
    (tmp_path / "latethree.py").write_text("VALUE = 1\n")
    monkeypatch.syspath_prepend(tmp_path)

    def then(patch):
        raise RuntimeError("no such function")

    Patch().after_import("latethree", then)
    import latethree

    assert latethree.VALUE == 1
    assert "could not instrument latethree (RuntimeError: no such function)" in caplog.text


def test_an_import_in_another_thread_neither_waits_for_us_nor_is_missed(tmp_path, monkeypatch):
    """While a thread is importing a slow module, patching it waits for the whole module, and no lock is held."""
    (tmp_path / "slowone.py").write_text("import time\ntime.sleep(0.3)\ndef load(): return 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    replaced = []

    def then(patch):
        import slowone

        patch.around(slowone, "load", lambda wrapped, args, kwargs: replaced.append(1) or wrapped())

    def importing():
        import slowone  # noqa: F401 - importing it is what is tested

    thread = threading.Thread(target=importing)
    thread.start()
    while "slowone" not in sys.modules:
        time.sleep(0.001)
    patch = Patch()
    patch.after_import("slowone", then)
    thread.join(5)

    import slowone

    assert slowone.load() == 1
    assert replaced == [1]
    patch.undo()


def test_many_threads_replace_once(library):
    """Threads that patch at once put one replacement there."""
    counter = Calls()
    patch = Patch()
    barrier = threading.Barrier(8)

    def work():
        barrier.wait()
        patch.around(library["alib"], "load", counter, everywhere=True)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    library["alib"].load("a")
    assert counter.count == 1
    assert len(patch.sites) == 2
    patch.undo()
