"""The promises of docs/privacy.md. Each program has a process and a spool of its own; every byte in it is searched."""

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pyarrow.parquet
import pytest
from doc_pages import ROOT

SECRET = "k9Zq-never-to-be-seen"


@pytest.fixture
def record(tmp_path):
    """Runs a program and gives all that it left in the spool, as text; its exit status must be as said."""

    def run(program, *arguments, status=0, environment=None):
        shutil.rmtree(tmp_path / ".mlotel", ignore_errors=True)
        script = tmp_path / "program.py"
        script.write_text(textwrap.dedent(program), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, script, *arguments],
            cwd=tmp_path,
            env={**os.environ, **(environment or {})},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == status, done.stderr
        files = sorted((tmp_path / ".mlotel" / "spool").glob("*.jsonl"))
        assert files
        return "".join(file.read_text(encoding="utf-8") for file in files)

    return run


def test_every_promise_names_a_test_that_exists():
    """The page names tests of this file, and every test of this file is named there."""
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs" / "privacy.md").read_text(encoding="utf-8")))
    here = set(re.findall(r"^def (test_\w+)", Path(__file__).read_text(encoding="utf-8"), re.MULTILINE))

    assert named == here - {"test_every_promise_names_a_test_that_exists"}


def test_without_an_endpoint_no_connection_is_opened(record):
    """A run that goes to the spool connects to nothing and looks no host up."""
    spool = record(
        """
        import sys

        def refuse(event, args):
            if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
                print("opened", event, args, file=sys.stderr)
                raise OSError("no connection may be opened")

        sys.addaudithook(refuse)
        import mlotel
        telemetry = mlotel.configure()
        with mlotel.pipeline("nightly"), mlotel.component("clean") as c:
            c.write([1.0, 2.0], name="clean")
        assert sum(telemetry.shutdown().dropped.values()) == 0
        """
    )

    assert "component clean" in spool


def test_no_value_and_no_column_name_of_an_artifact_leaves(record):
    """Frames, arrays, models, bytes, files and plain values leave name, counts and digest: no cell, no column."""
    spool = record(
        f"""
        from pathlib import Path
        import numpy as np, pandas as pd, polars, pyarrow
        from sklearn.linear_model import LinearRegression
        import mlotel

        mlotel.configure()
        columns = {{"{SECRET}": ["{SECRET}", "b"], "income": [717171.25, 2.0]}}
        Path("data.csv").write_text("{SECRET}")

        @mlotel.component
        def decorated(frame, array, raw, model, path):
            return {{"again": frame, "more": [array]}}

        with mlotel.pipeline("nightly"):
            with mlotel.component("read") as c:
                for value in (
                    pd.DataFrame(columns), pd.Series(columns["income"], name="{SECRET}"), polars.DataFrame(columns),
                    pyarrow.table(columns), np.array([717171.25]), b"{SECRET}", "data.csv", Path("data.csv"),
                    ["{SECRET}", 717171.25], {{"{SECRET}": 717171.25}}, 717171.25,
                ):
                    c.read(value)
                    c.write(value, name="copy")
            model = LinearRegression().fit([[717171.25], [1.0]], [717171.25, 1.0])
            decorated(pd.DataFrame(columns), np.array([717171.25]), b"{SECRET}", model, Path("data.csv"))
        """
    )

    assert spool.count("xxh3:") > 20
    assert SECRET not in spool
    assert "717171" not in spool
    assert "income" not in spool


WATCHED = f"""
import numpy as np
import mlotel

rng = np.random.default_rng(7)

def rows(count):
    return {{
        "income": np.r_[rng.normal(600_000, 20, count - 1), 717171.25],
        "city": rng.choice(["Aomori", "Bergen", "{SECRET}"], count, p=[0.5, 0.499, 0.001]),
    }}

classes = np.array(["churned"] * 9990 + ["stayed"] * 9990 + ["{SECRET}-class"] * 19)
reference = mlotel.Reference.fit(rows(19_999), labels=classes)
"""


def test_drift_leaves_as_counts(record):
    """Names of features, labels of classes, counts and moments leave: no category, no extreme, no rare class."""
    program = f"""{WATCHED}
mlotel.configure()
detector = mlotel.drift.Detector(reference)
with mlotel.pipeline("serve"), mlotel.observe(detector, "churn", version="7", every_s=1e9):
    for _ in range(4):
        shifted = rows(1000)
        detector.update(shifted | {{"income": shifted["income"] + 15}}, labels=["churned"] * 1000)
        report = detector.check()
assert report.alarms
"""
    spool = record(program)

    for leaves in ("ml.drift.detected", '"income"', '"city"', '"churned"', "skewness"):
        assert leaves in spool
    for stays in (SECRET, "717171", "717186", "Aomori", "Bergen", "more from", "fewer below"):
        assert stays not in spool
    captured = record(program, environment={"MLOTEL_CAPTURE_VALUES": "true"})
    assert "717186" in captured
    assert re.search(r"(more|fewer) (from|below|above)", captured)


def test_drift_of_few_rows_says_no_mean(record):
    """Below 500 rows there are no moments: the mean of one row would be its value."""
    spool = record(f"""{WATCHED}
mlotel.configure()
detector = mlotel.drift.Detector(reference)
with mlotel.observe(detector, "churn"):
    detector.update({{"income": [717171.25], "city": ["Bergen"]}})
    detector.check()
""")

    assert "ml.feature.values" in spool
    assert "717171" not in spool


def test_a_saved_reference_holds_no_rare_category(tmp_path, record):
    """The file has names of categories and classes with 20 rows and more, edges that are values, and no row."""
    record(f"""{WATCHED}
mlotel.configure()
reference.save("reference.json")
with mlotel.pipeline("train"), mlotel.component("fit"):
    mlotel.write(reference)
""")

    text = (tmp_path / "reference.json").read_text(encoding="utf-8")
    assert all(held in text for held in ("Aomori", "Bergen", "churned", "717171.25"))
    assert SECRET not in text
    assert len(text) < 50_000 < 19_999 * 4


def test_estimators_leave_with_parameters_and_classes(record):
    """A call of an estimator leaves with shapes, parameters and labels of classes: no cell, no name of a column."""
    spool = record(
        f"""
        import pandas as pd
        from sklearn.compose import ColumnTransformer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
        import mlotel

        mlotel.configure(instrument=["sklearn"])
        X = pd.DataFrame({{"{SECRET}": [717171.25, 2.0, 3.0, 4.0], "other": [1.0, 2.0, 3.0, 5.0]}})
        chosen = ColumnTransformer([("scale", StandardScaler(), ["{SECRET}"])])
        with mlotel.pipeline("train"), mlotel.component("fit"):
            model = make_pipeline(chosen, LogisticRegression(C=0.5)).fit(X, ["churned", "stayed", "stayed", "stayed"])
            model.predict(X)
            model.score(X, ["churned", "stayed", "stayed", "stayed"])
        """
    )

    for leaves in ("fit Pipeline", "predict Pipeline", "LogisticRegression", "0.5", '"churned"'):
        assert leaves in spool
    assert SECRET not in spool
    assert "717171" not in spool


def test_what_is_no_scalar_is_described_by_its_type(record):
    """Of a param that is neither scalar nor a short list the type is recorded, and nothing of the object is called."""
    spool = record(
        f"""
        import mlotel

        class Customer:
            def __init__(self):
                self.name = "{SECRET}"
            def __repr__(self):
                raise SystemExit("asked for its text")
            __str__ = __len__ = __bool__ = __eq__ = __repr__
            __hash__ = None

        @mlotel.component
        def load(customer, many, depth=6):
            return customer

        mlotel.configure()
        load(Customer(), ["{SECRET}"] * 1000)
        with mlotel.component("again") as c:
            c.param(customer=Customer())
        """
    )

    assert "Customer" in spool
    assert '"ml.param.depth"' in spool
    assert SECRET not in spool


def test_params_that_look_like_secrets_are_redacted(record):
    """Params named after secrets are redacted wherever they come from; numbers and keys of tables stay."""
    spool = record(
        f"""
        import mlotel
        mlotel.configure()

        @mlotel.component
        def load(db_password="{SECRET}", login={{"token": "{SECRET}"}}, max_tokens=512, join_key="customer_id"):
            pass

        with mlotel.pipeline("nightly", params={{"api_key": "{SECRET}", "dsn": "{SECRET}"}}):
            load()
            with mlotel.component("more") as c:
                c.param(secret="{SECRET}", credentials="{SECRET}", Authorization="{SECRET}")
        """
    )

    assert SECRET not in spool
    assert spool.count("[redacted]") >= 7
    assert '"512"' in spool
    assert "customer_id" in spool


def test_addresses_lose_user_password_and_query(record):
    """Addresses of artifacts lose user, password, query and fragment; other texts lose passwords in addresses."""
    spool = record(
        f"""
        import mlotel
        mlotel.configure()
        with mlotel.component("load") as c:
            c.read("s3://user:{SECRET}@bucket/one.csv?X-Amz-Signature={SECRET}#{SECRET}")
            c.read([1.0], name="two", uri="https://{SECRET}@example.org/two.csv?sig={SECRET}")
            c.param(source="postgres://ana:{SECRET}@example.org/shop?token={SECRET}")
        """
    )

    assert SECRET not in spool
    for kept in ("s3://bucket/one.csv", "https://example.org/two.csv", "postgres://example.org/shop"):
        assert kept in spool


EVERYWHERE = f"""
import mlotel

def check(result):
    return mlotel.Check(False, "{SECRET}", found="{SECRET}")

@mlotel.component(type="{SECRET}", owner="{SECRET}", after=[check])
def load(table="{SECRET}"):
    "{SECRET}"
    return 1

with mlotel.pipeline(
    "{SECRET}", experiment="{SECRET}", params={{"source": "{SECRET}"}}, tags={{"team": "{SECRET}"}}, run_id="{SECRET}"
):
    load()
    with mlotel.component("{SECRET}", description="{SECRET}") as c:
        c.read([1.0], name="{SECRET}", uri="https://example.org/{SECRET}")
        c.write("{SECRET}.csv")
        raise ValueError("{SECRET}")
"""


def test_redact_sees_every_text(record):
    """A function given as redact= takes a word out of all that is recorded, wherever it stands."""
    program = f"""
import mlotel
def redact(text):
    return text.replace("{SECRET}", "<gone>")
mlotel.configure(service_name="{SECRET}", redact=redact)
{EVERYWHERE}"""

    assert (
        record(EVERYWHERE.replace("import mlotel", "import mlotel; mlotel.configure()", 1), status=1).count(SECRET) > 20
    )
    spool = record(program, status=1)
    assert "<gone>" in spool
    assert SECRET not in spool


def test_a_text_that_redact_fails_on_does_not_leave(record):
    """When redact= raises, or gives no text, the text is left out and the program goes on."""
    spool = record(
        f"""
        import mlotel
        def redact(text):
            if "{SECRET}" in text:
                raise RuntimeError("{SECRET}")
            return text
        mlotel.configure(redact=redact)
        with mlotel.pipeline("nightly", params={{"source": "{SECRET}"}}), mlotel.component("load") as c:
            c.param(note="{SECRET}", depth=6)
        """
    )

    assert "component load" in spool
    assert SECRET not in spool


def test_stack_traces_have_no_values_of_variables(record):
    """A stack trace holds the lines of the code, not what the variables held."""
    spool = record(
        """
        import mlotel
        mlotel.configure()

        def fail(customer):
            raise ValueError("cannot load")

        with mlotel.component("load"):
            fail("".join(["k9Zq", "-never", "-to-be-seen"]))
        """,
        status=1,
    )

    assert "cannot load" in spool
    assert "in fail" in spool
    assert SECRET not in spool


def test_messages_of_exceptions_can_be_kept_inside(record):
    """MLOTEL_CAPTURE_ERRORS=type leaves the type and the places: no message and no line of code, of checks neither."""
    spool = record(
        f"""
        import mlotel
        mlotel.configure()

        def check(result):
            raise LookupError("{SECRET}")

        @mlotel.component(after=[check])
        def load():
            return 1

        with mlotel.pipeline("nightly"):
            load()
            with mlotel.component("fail"):
                raise ValueError("{SECRET}")
        """,
        status=1,
        environment={"MLOTEL_CAPTURE_ERRORS": "type"},
    )

    assert "ValueError" in spool
    assert "LookupError" in spool
    assert "program.py" in spool
    assert SECRET not in spool


def test_command_line_and_environment_do_not_leave(record):
    """Neither arguments of the program nor variables of its environment are recorded."""
    spool = record(
        """
        import mlotel
        mlotel.configure()
        with mlotel.pipeline("nightly"), mlotel.component("load"):
            pass
        """,
        "--password",
        SECRET,
        environment={"DATABASE_URL": SECRET, "AWS_SECRET_ACCESS_KEY": SECRET},
    )

    assert "process.pid" in spool
    assert SECRET not in spool


def test_files_of_the_spool_are_for_their_owner_only(record, tmp_path):
    """Whatever the umask: folders 0700, files 0600, and a .gitignore that leaves everything out."""
    before = os.umask(0)
    try:
        record("import mlotel; mlotel.configure()\nwith mlotel.component('load'): pass")
    finally:
        os.umask(before)

    folder = tmp_path / ".mlotel"
    assert (folder / ".gitignore").read_text() == "*\n"
    assert [oct(path.stat().st_mode & 0o777) for path in (folder, folder / "spool")] == ["0o700", "0o700"]
    assert {oct(path.stat().st_mode & 0o777) for path in (folder / "spool").iterdir()} == {"0o600"}


def test_accounts_hold_counts_and_addresses(record, tmp_path):
    """An account has counts, process, addresses and causes: no header, no password, nothing of the run."""
    record(
        f"""
        import mlotel

        def redact(text):
            return text.replace("shop-9", "<gone>")

        telemetry = mlotel.configure(
            service_name="shop-9", endpoint="http://ana:{SECRET}@127.0.0.1:9/base?key={SECRET}",
            headers={{"authorization": "Bearer {SECRET}"}}, redact=redact,
        )
        with mlotel.pipeline("{SECRET}", params={{"depth": 717171}}), mlotel.component("{SECRET}") as c:
            c.read([717171.25], name="{SECRET}")
        """
    )

    [account] = (tmp_path / ".mlotel" / "spool").glob("*.account.json")
    text = account.read_text(encoding="utf-8")
    said = json.loads(text)
    known = {"version", "service_name", "pid", "started", "updated", "ended", "endpoints", "failures", "counts"}
    assert said.keys() == known
    assert said["endpoints"]["traces"].startswith("http://127.0.0.1:9/base")
    assert said["failures"]["traces"]
    for stays in (SECRET, "717171", "ana", "key=", "shop-9"):
        assert stays not in text


def test_heartbeats_name_run_and_component(record):
    """Event and span of a heartbeat hold ids, names and times of run and component: no param, no tag, no artifact."""
    spool = record(
        f"""
        import time
        import mlotel
        mlotel.configure()
        tags = {{"team": "{SECRET}"}}
        with mlotel.pipeline("nightly", params={{"source": "{SECRET}"}}, tags=tags, run_id="nightly-07"):
            with mlotel.component("load", owner="{SECRET}") as c:
                c.read([717171.25], name="{SECRET}")
                time.sleep(0.6)
        """,
        environment={"MLOTEL_HEARTBEAT_S": "0.2"},
    )

    requests = [json.loads(line) for line in spool.splitlines()]
    events = [
        (record["eventName"], record)
        for request in requests
        for group in request.get("resourceLogs", ())
        for scope in group["scopeLogs"]
        for record in scope["logRecords"]
    ]
    opened = [
        (span["name"], span)
        for request in requests
        for group in request.get("resourceSpans", ())
        for scope in group["scopeSpans"]
        for span in scope["spans"]
    ]
    beats = [found for name, found in events if name == "ml.run.heartbeat"]
    beats += [found for name, found in opened if name == "heartbeat load"]
    assert len(beats) >= 4
    assert all("nightly-07" in json.dumps(beat) for beat in beats)
    assert SECRET in spool
    assert [beat for beat in beats if SECRET in json.dumps(beat)] == []


def test_headers_and_passwords_are_in_no_log_and_no_file(record, tmp_path):
    """A token among the headers and a password in the endpoint stay out of the log, the spool and our own texts."""
    spool = record(
        f"""
        import logging
        from pathlib import Path
        logging.basicConfig(level=logging.DEBUG, filename="debug.log")
        import mlotel

        telemetry = mlotel.configure(
            endpoint="http://ana:{SECRET}@127.0.0.1:9", headers={{"authorization": "Bearer {SECRET}"}}
        )
        with mlotel.pipeline("nightly"), mlotel.component("clean"):
            pass
        telemetry.shutdown()
        Path("shown.txt").write_text(repr(telemetry) + str(dict(telemetry.endpoints)))
        """
    )

    assert "component clean" in spool
    assert SECRET not in spool
    assert SECRET not in (tmp_path / "debug.log").read_text() + (tmp_path / "shown.txt").read_text()


def test_index_and_stamps_say_who_made_what_and_no_more(record, tmp_path):
    """Index, stamps and notes hold no data, no params and nothing that redact= takes out; stamps hold no place."""
    record(
        f"""
        import pandas as pd
        import mlotel

        def redact(text):
            return text.replace("{SECRET}", "<gone>")

        mlotel.configure(instrument=["pandas"], redact=redact)
        with mlotel.pipeline("{SECRET}", run_id="{SECRET}", params={{"depth": 717171}}):
            with mlotel.component("clean {SECRET}") as c:
                table = pd.DataFrame({{"income": [717171.25]}})
                table.to_parquet("{SECRET}.parquet")
                c.write(table, name="{SECRET}", uri="https://ana:pa55word@example.org/{SECRET}?token=pa55word")
        """,
        environment={"MLOTEL_SIDECAR": "on"},
    )

    file = tmp_path / f"{SECRET}.parquet"
    index = Path(os.environ["XDG_STATE_HOME"], "mlotel", "lineage.db")
    stamp = pyarrow.parquet.read_metadata(file).metadata[b"mlotel"].decode()
    note = file.with_name(f"{file.name}.mlotel.json").read_text(encoding="utf-8")
    rows = index.read_bytes().decode("latin-1")
    for text in (stamp, note, rows):
        assert "clean <gone>" in text
        assert [word for word in (SECRET, "income", "717171", "pa55word") if word in text] == []
    for text in (stamp, note):
        assert str(tmp_path) not in text
        assert "://" not in text
        known = {"version", "traceparent", "component", "run_id", "name", "schema_hash"}
        known |= {"content_id", "file_id", "data_id"}
        assert json.loads(text).keys() - known == {"created_ns"}
        assert json.loads(text)["created_ns"] == 0
    assert [oct(path.stat().st_mode & 0o777) for path in (index.parent, index)] == ["0o700", "0o600"]
