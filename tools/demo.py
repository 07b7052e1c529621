"""Runs the flights example, three programs in three folders, and shows who made what each has read: ``make demo``.

Arguments go to the first program: ``make demo ARGS="--rows 20000"``.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".mlotel"
MLOTEL = Path(sys.executable).with_name("mlotel")
MOVED = {
    "prepare": [],
    "train": [("prepare", "features.parquet")],
    "serve": [("train", "features.parquet"), ("train", "model.joblib")],
}
NEXT = """
Try next:
  .venv/bin/mlotel runs                    all runs recorded here
  .venv/bin/mlotel show {run} --attrs     all about one: parameters, artifact ids, who made what
  OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318 .venv/bin/python examples/flights/prepare.py --out .mlotel
                                           the first program again, sent to an OpenTelemetry collector"""


def environment() -> dict[str, str]:
    # The demo needs no server and shows a local record, whatever this shell is set up for.
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "MLOTEL_"))}
    # On a busy machine the threads of scikit-learn would wait for each other at full speed, most of the time.
    kept.setdefault("OMP_WAIT_POLICY", "passive")
    kept["MLOTEL_SPOOL"] = str(HOME / "spool")  # the programs run elsewhere
    kept["MLOTEL_QUIET"] = "true"  # their trees are shown below, on a terminal or not
    kept["XDG_STATE_HOME"] = str(HOME / "state")  # the index of who made what; the user's own is left alone
    return kept


def run(*command: str | Path, folder: Path = ROOT, is_asked: bool = False) -> str:
    """Run a command and end with its status if it fails; returns what it prints if it ``is_asked``, not shown."""
    sys.stdout.flush()
    pipe = subprocess.PIPE if is_asked else None
    done = subprocess.run(command, cwd=folder, env=environment(), stdout=pipe, text=True)
    if done.returncode:
        sys.exit(done.returncode)
    return done.stdout or ""


def say(what: str) -> None:
    print(f"-- {what}", file=sys.stderr, flush=True)


def program(name: str, *arguments: str) -> str:
    """Run a program in a folder of its own, in which it finds what it needs; show the run and return its id."""
    folder = HOME / "demo" / name
    folder.mkdir(parents=True, exist_ok=True)
    for other, file in MOVED[name]:
        say(f"moving {file} from {other} to {name}")
        (HOME / "demo" / other / file).replace(folder / file)
    say(f"running examples/flights/{name}.py in {folder.relative_to(ROOT)}")
    run(sys.executable, ROOT / "examples" / "flights" / f"{name}.py", *arguments, folder=folder)
    found = run(MLOTEL, "runs", "--json", "--limit", "1", "--pipeline", f"flights-{name}", is_asked=True)
    run_id = str(json.loads(found)[0]["id"])
    print()
    run(MLOTEL, "show", "--quiet", run_id)
    print()
    return run_id


def origins(run_ids: list[str]) -> None:
    """Print a line for everything that was read: who made it, and how that is known."""
    print("Who made what was read:")
    for run_id in run_ids:
        found = json.loads(run(MLOTEL, "show", "--json", run_id, is_asked=True))
        print(f"  {found['pipeline']}")
        for node in found["nodes"]:
            for artifact in node["inputs"]:
                made_by = "made by no run that is known"
                for producer in artifact["producers"]:
                    where = "this run" if producer["run_id"] == run_id else f"run {producer['run_id'][:6]}"
                    made_by = f"made by {producer['component']} in {where} (evidence: {producer['evidence']})"
                print(f"    {node['name']:<9}  {artifact['name']:<16}  {made_by}")


def main() -> None:
    run_ids = [program("prepare", *sys.argv[1:]), program("train"), program("serve")]
    origins(run_ids)
    print(NEXT.format(run=run_ids[-1][:6]))


if __name__ == "__main__":
    main()
