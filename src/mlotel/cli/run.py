"""``mlotel run``: a Python script or module as it is, with what it does recorded."""

import argparse
import importlib.util
import io
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType, TracebackType
from typing import TYPE_CHECKING, Any

from mlotel.errors import InvalidArgumentError

if TYPE_CHECKING:
    from mlotel.types import SpanRecord

NAME = "run"
HELP = "Run a script or module and record what it does: mlotel run train.py ARGS, mlotel run -m package.train ARGS."

_PACKAGE = str(Path(__file__).resolve().parent.parent) + os.sep
_PATCHED = "<mlotel."  # file name of functions that stand for those of libraries


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.usage = "mlotel run [options] SCRIPT [ARGS ...]\n       mlotel run [options] -m MODULE [ARGS ...]"
    parser.add_argument(
        "-m", dest="module", metavar="MODULE", nargs=argparse.REMAINDER, help="run a module, as python -m does"
    )
    parser.add_argument(
        "script", metavar="SCRIPT", nargs=argparse.REMAINDER, help="file to run, and all that it is given"
    )


def run(args: argparse.Namespace) -> int:
    """Run a script.

    Returns:
        0 when it came to its end, 1 after an exception.

    Raises:
        InvalidArgumentError: If there is no such script or module.
        SystemExit: If the script raised it: its exit status.
    """
    program = _module(args.module) if args.module is not None else _script(args.script)
    _be(program)
    record = _Recording(program, quiet=args.quiet, no_color=args.no_color)
    record.begin()
    try:
        program.run()
    except SystemExit as stop:
        record.end(stop)
        raise
    except BaseException as error:
        record.end(error)
        _report(error)
        if isinstance(error, KeyboardInterrupt):
            sys.excepthook = _say_nothing  # it was said
            end = KeyboardInterrupt()  # the interpreter looks for this very class, and dies of the signal then
            end.of_script = True  # type: ignore[attr-defined]  # for main(), which takes other ones for its own
            raise end from None
        return 1
    record.end(None)
    return 0


@dataclass(frozen=True)
class _Program:
    """What is to be run.

    Attributes:
        name: What its pipeline is called.
        main: The module that it runs in.
        path: First place where it looks for modules.
        argv: Its arguments.
        code: Compiles it; may raise what Python would raise.
    """

    name: str
    main: ModuleType
    path: str
    argv: list[str]
    code: Callable[[], CodeType]

    def run(self) -> None:
        """Run it to its end."""
        exec(self.code(), vars(self.main))


def _script(words: list[str]) -> _Program:
    if not words:
        raise InvalidArgumentError(
            "mlotel run got nothing to run. Write: mlotel run train.py ARGS, or mlotel run -m package.train ARGS"
        )
    given, path = words[0], Path(words[0])
    if not path.is_file():
        found = "is a folder" if path.is_dir() else "does not exist"
        module = "" if path.suffix or path.is_dir() or os.sep in given else f" A module: mlotel run -m {given}"
        raise InvalidArgumentError(f"Cannot run {given!r}: it {found}. Give the path of a Python file.{module}")
    absolute = os.path.join(os.getcwd(), given)  # noqa: PTH109, PTH118 - as python does, which leaves ./ in it
    main = ModuleType("__main__")
    main.__file__ = absolute
    vars(main).update(__cached__=None, __package__=None)

    def code() -> CodeType:
        with io.open_code(absolute) as file:
            return compile(file.read(), absolute, "exec", dont_inherit=True)

    return _Program(path.stem, main, os.path.dirname(os.path.realpath(given)), list(words), code)  # noqa: PTH120


def _module(words: list[str]) -> _Program:
    if not words:
        raise InvalidArgumentError("mlotel run -m got no module. Write: mlotel run -m package.train ARGS")
    name, folder = words[0], os.getcwd()  # noqa: PTH109 - as python does
    sys.path[0:0] = [folder]
    try:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            spec = importlib.util.find_spec(f"{name}.__main__")
    except ModuleNotFoundError as error:
        raise InvalidArgumentError(f"Cannot run the module {name!r}: {error}.") from None
    except (ImportError, ValueError) as error:
        raise InvalidArgumentError(f"Cannot run the module {name!r}: {error}.") from error
    finally:
        del sys.path[0]
    loader: Any = None if spec is None else spec.loader
    if spec is None or not hasattr(loader, "get_code"):
        raise InvalidArgumentError(f"Cannot run the module {name!r}: there is none of that name that can be run.")
    main = ModuleType("__main__")
    main.__spec__ = spec
    origin = str(spec.origin)
    vars(main).update(__file__=origin, __cached__=spec.cached, __loader__=loader, __package__=spec.parent)
    found = spec.name

    def code() -> CodeType:
        compiled: CodeType | None = loader.get_code(found)
        if compiled is None:
            raise ImportError(f"No code object available for {found}")
        return compiled

    return _Program(name, main, folder, [origin, *words[1:]], code)


def _be(program: _Program) -> None:
    """Let the process look like the one that ``python`` would have started."""
    sys.modules["__main__"] = program.main
    import builtins

    vars(program.main).setdefault("__builtins__", builtins)
    vars(program.main).setdefault("__annotations__", {})
    sys.argv[:] = program.argv
    if not getattr(sys.flags, "safe_path", False):
        sys.path[0] = program.path


class _Recording:
    """The pipeline that the script runs in, and where its records go."""

    def __init__(self, program: _Program, *, quiet: bool, no_color: bool) -> None:
        self._program = program
        self._quiet = quiet
        self._no_color = no_color
        self._run: Any = None
        self._telemetry: Any = None
        self._component: Any = None

    def begin(self) -> None:
        """Set mlotel up and open the pipeline."""
        from mlotel import _settings, instrumentation
        from mlotel._setup import configure
        from mlotel.tracing.components import begun
        from mlotel.tracing.runs import pipeline
        from mlotel.tracing.steps import component

        if _settings.is_disabled():
            return
        self._configure = configure
        self._telemetry = configure(quiet=True)
        sys.modules["mlotel"].configure = self._configured_by_the_script  # type: ignore[attr-defined]  # made at its first use
        instrumentation.install(instrumentation.resolve(_wanted(), "MLOTEL_INSTRUMENT names "))
        if not self._quiet:
            _settings.current.on_run_end = self._print
        name = self._program.name
        self._run = pipeline(name)._begun(name, f"{name}.<module>", {})
        self._run._attach()
        # Files that are read and written at the top of the script belong to a component, as all files do.
        self._component = begun(name, component(name, type="script")._declaration)
        self._component._attach()

    def end(self, error: BaseException | None) -> None:
        """Close the pipeline; its tree is printed then."""
        if self._run is not None:
            self._component._finish(error)
            self._run._finish(error)

    def _configured_by_the_script(self, *args: Any, **kwargs: Any) -> Any:
        """Called instead of ``mlotel.configure``: what the script says goes."""
        from mlotel import _settings

        before, own = _settings.current.on_run_end, self._telemetry
        if own is not None:
            self._telemetry = None
            own.shutdown()
        telemetry = self._configure(*args, **kwargs)
        if before is not None:
            _settings.current.on_run_end = before
        return telemetry

    def _print(self, spans: "list[SpanRecord]") -> None:
        from mlotel._setup import _assemble, _configure

        active = _configure._holder.active
        if active is not None:
            _assemble.print_tree(active, spans, no_colour=self._no_color)


def _wanted() -> list[str]:
    """Libraries to instrument: those of ``MLOTEL_INSTRUMENT``, else all, less those that are switched off."""
    from mlotel import instrumentation

    named = [name.strip() for name in os.environ.get("MLOTEL_INSTRUMENT", "").split(",") if name.strip()]
    return named or instrumentation.found()


def _report(error: BaseException) -> None:
    """Have Python say what ended the script, as if nobody had been around it."""
    _without_us(error, set())
    sys.excepthook(type(error), error, error.__traceback__)


def _without_us(error: BaseException | None, seen: set[int]) -> None:
    """Take our frames out of the traceback of an exception, and of those that led to it."""
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        kept = []
        step = error.__traceback__
        while step is not None:
            file = step.tb_frame.f_code.co_filename
            if not file.startswith((_PACKAGE, _PATCHED)):
                kept.append(step)
            step = step.tb_next
        made: TracebackType | None = None
        for step in reversed(kept):
            made = TracebackType(made, step.tb_frame, step.tb_lasti, step.tb_lineno)
        error.__traceback__ = made
        for other in getattr(error, "exceptions", ()):  # of a group
            if isinstance(other, BaseException):
                _without_us(other, seen)
        _without_us(error.__cause__, seen)
        error = error.__context__


def _say_nothing(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """In place of ``sys.excepthook``."""
