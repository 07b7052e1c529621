"""Secrets by their names, addresses, and ``redact=``: what never leaves the process."""

import re

import pytest

import mlotel
from mlotel import _guard, _settings
from mlotel.testing import capturing
from mlotel.tracing.secrets import is_secret

SECRET = [
    "password", "db_password", "dbPassword", "PASSWORD", "passwd", "passphrase", "secret", "secrets", "client_secret",
    "aws_secret_access_key", "token", "hub_token", "accessToken", "ACCESS_TOKEN", "x-auth-token", "authToken",
    "access_tokens", "api_key", "apiKey", "APIKey", "apikey", "OPENAI_API_KEY", "api-key", "api_keys", "access_key",
    "private_key", "ssh_key", "encryption_key", "key", "my_key", "dsn", "sentry_dsn", "credential", "credentials",
    "connection_string", "authorization", "bearer", "cookie", "jwt", "auth", "db.password", "credentials.user",
]  # fmt: skip
HARMLESS = [
    "tokenizer", "max_tokens", "n_token", "num_tokens", "token_pattern", "token_type_ids", "pad_token", "eos_token",
    "mask_token", "tokens", "tokenization", "monkey", "keyboard", "turkey", "keys", "join_key", "group_keys",
    "sort_key", "key_column", "primary_key", "partition_key", "author", "authors", "secretary", "passwordless",
    "compass", "auth_mode", "dsname", "hyperkeyed", "cookiecutter",
]  # fmt: skip


@pytest.mark.parametrize("name", SECRET)
def test_what_looks_like_a_secret_is_redacted(capture, name):
    """A param whose name looks like a secret is recorded as ``[redacted]``, wherever it comes from."""

    @mlotel.component
    def decorated(**settings):
        return None

    with mlotel.pipeline("p", params={name: "hunter2"}, tags={name: "hunter2"}), mlotel.component("c") as c:
        c.param(**{name: "hunter2"})
        decorated(**{name: "hunter2"})

    assert "hunter2" not in everything(capture)
    assert everything(capture).count("[redacted]") == 6  # two of them on the event of the run's start


@pytest.mark.parametrize("name", HARMLESS)
def test_look_alikes_stay(capture, name):
    """Words of language models, of tables and of everyday life are no secrets."""
    with mlotel.component("c") as c:
        c.param(**{name: "value"})

    assert "value" in capture.span("component c").attributes.values()


@pytest.mark.parametrize(
    ("name", "value", "redacted"),
    [
        ("token", 512, False),
        ("max_token", "512", False),
        ("key", 3, False),
        ("token", [101, 102], False),
        ("token", ["a"], True),
        ("token", [1, "a"], True),
        ("token", [], True),
        ("use_auth", True, False),
        ("password", 1234, True),
        ("password", None, False),
        ("password_length", 12, False),
        ("use_password", False, False),
        ("secret", ["a", "b"], True),
        ("api_key", object(), True),
    ],
)
def test_numbers_and_switches_are_sizes_and_choices(name, value, redacted):
    """``token=512`` is a size; a password is a password as a number too."""
    assert is_secret(name, value) is redacted


def test_nested_secrets(capture):
    """Keys of nested dicts and dataclasses count, with the names above them."""
    with mlotel.component("c") as c:
        c.param(
            db={"user": "u", "password": "hunter2"}, credentials={"user": "hunter2"}, headers={"a": {"b": "hunter2"}}
        )

    attributes = capture.span("component c").attributes
    assert attributes["ml.param.db.user"] == "u"
    assert attributes["ml.param.db.password"] == "[redacted]"
    assert "hunter2" not in str(attributes)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://me:hunter2@host:5432/db", "postgresql://host:5432/db"),
        ("see https://hunter2@host/x now", "see https://host/x now"),
        ("amqp://me:hunter/2@host/v", "amqp://host/v"),
        ("https://host/x?token=hunter2&rows=3", "https://host/x?token=[redacted]&rows=3"),
        ("https://b/x?X-Amz-Signature=hunter2", "https://b/x?X-Amz-Signature=[redacted]"),
        ("https://b/x?sig=hunter2&se=1", "https://b/x?sig=[redacted]&se=1"),
        ("https://host:8080/a@b", "https://host:8080/a@b"),
        ("mail a@b.c", "mail a@b.c"),
    ],
)
def test_addresses_in_any_text_lose_credentials(capture, text, shown):
    """Wherever an address stands, in a param, a name or a message, it has no user information and no secrets."""

    def work():
        with mlotel.component("c") as c:
            c.param(url=text)
            raise ValueError(f"{text} failed")

    with pytest.raises(ValueError, match="failed"):
        work()

    assert capture.span("component c").attributes["ml.param.url"] == shown
    assert capture.span("component c").status.description == f"{shown} failed"
    assert "hunter" not in everything(capture).replace("hunter2&rows", "")


def test_a_secret_across_a_cut_is_not_shown(capture):
    """A credential that the cut goes through is recognised all the same."""
    text = "x" * 2035 + " https://me:hunter2hunter2hunter2@host/"
    with mlotel.component("c") as c:
        c.param(x=text)

    assert "hunter" not in capture.span("component c").attributes["ml.param.x"]


# redact=


class AliceError(Exception):
    pass


def alice_check(alice_rows):
    return mlotel.Check(False, "alice is missing", who="alice", alice_key=1)


def alice_crashes():
    raise KeyError("alice")


def everything(capture):
    """Every string that was recorded."""
    found = []
    for span in capture.spans():
        found += [span.name, span.status.description, dict(span.attributes)]
        found += [dict(link.attributes) for link in span.links]
    for event in capture.events():
        found += [event.log_record.body, dict(event.log_record.attributes)]
    for name in capture.metric_names():
        found += [dict(point.attributes) for point in capture.metrics(name)]
    return str(found)


def scenario_about_alice(folder):
    """Everything that users can name is called alice."""
    (folder / "alice.csv").write_text("a")

    @mlotel.component(inputs={"frame": "frame of alice"}, outputs="alice-out", after=[alice_crashes])
    def alice_function(frame, path, text="alice"):
        """For alice."""
        return frame

    with mlotel.pipeline(
        "alice pipeline", experiment="alice", params={"alice_name": "alice", "l": ["alice"]}, tags={"for": "alice"},
        run_id="run-of-alice",
    ):  # fmt: skip
        alice_function([b"x"], folder / "alice.csv")
        with mlotel.component(
            "alice", type="alice", owner="alice", description="of alice", after=[alice_check], stale_after_s=1e-9
        ) as c:
            c.read(folder / "alice.csv")
            c.read([1], name="alice rows", uri="s3://alice/alice")
            c.write([1], name="alice-rows")
            c.removed(1, reason="alice")
            c.param(alice="alice", nested={"alice": "alice"})
        raise AliceError("alice was here")


def test_redact_sees_every_string(tmp_path):
    """``redact=`` reaches names, types, params and their keys, tags, reasons, paths, messages, traces and metrics."""

    def redact(text):
        return re.sub("alice", "***", text, flags=re.IGNORECASE)

    shown = []
    with capturing(redact=redact) as capture:
        _settings.current.on_run_end = shown.append
        with pytest.raises(AliceError):
            scenario_about_alice(tmp_path)
        text = everything(capture)

    assert re.findall(".{30}alice.{30}", text, flags=re.IGNORECASE) == []
    assert re.findall("alice", str(shown), flags=re.IGNORECASE) == []
    for name in ("pipeline *** pipeline", "component ***", "check ***_check", "write ***-rows", "read ***.csv"):
        assert name in text


def test_without_redact_the_same_scenario_shows_its_words(tmp_path):
    """The scenario above does reach every place: without ``redact=`` its word is all over."""
    with capturing() as capture:
        with pytest.raises(AliceError):
            scenario_about_alice(tmp_path)
        text = everything(capture)

    assert len(re.findall("alice", text, flags=re.IGNORECASE)) > 60


def test_redact_set_after_decorating_still_counts(capture):
    """Functions are decorated when a module is imported; ``redact=`` of a later ``configure()`` holds for them."""

    @mlotel.component("alice", type="alice", owner="alice")
    def work():
        """Of alice."""

    _settings.current.redact = lambda text: text.replace("alice", "***")
    work()
    assert "alice" not in everything(capture)
    assert capture.metrics("ml.component.duration")[0].attributes["ml.component.type"] == "***"


def test_a_redaction_is_not_recorded_itself(capture):
    """What ``redact=`` calls may be a component: nothing of it is recorded, so its words need no redaction."""

    @mlotel.component
    def hide(text, mark="***"):
        mlotel.write([1], name="alice")
        return text.replace("alice", mark)

    _settings.current.redact = hide
    with mlotel.pipeline("alice"), mlotel.component("clean") as c:
        c.param(who="alice")

    assert [span.name for span in capture.spans()] == ["component clean", "pipeline ***"]


def test_each_string_is_redacted_once(capture):
    """A redaction that is no fixed point, a keyed hash for example, is applied to a declared word once."""
    _settings.current.redact = lambda text: text + "!"

    @mlotel.component("name", type="kind")
    def work(a="x"):
        pass

    with mlotel.pipeline("p", experiment="e", params={"k": "v"}):
        work()
    with mlotel.component("w") as c:
        c.write([1], name="art")
    with mlotel.component("r") as c:
        c.read([1], name="art")

    component, run, read = (capture.span(name).attributes for name in ("component name!", "pipeline p!", "read art!"))
    assert (component["ml.component.name"], component["ml.component.type"]) == ("name!", "kind!")
    assert component["ml.param.a_"] == "x!"
    assert (run["ml.experiment.name"], run["ml.param.k_"]) == ("e!", "v!")
    assert read["ml.artifact.producer"] == "w!@"


def broken(text):
    raise RuntimeError("no")


@pytest.mark.parametrize("redact", [broken, lambda text: None, lambda text: b"x"])
def test_a_redaction_that_fails_shows_nothing(capture, caplog, redact):
    """When ``redact=`` raises, or returns no string, the string is withheld, and one line says so."""
    _guard.STRICT = False
    _settings.current.redact = redact
    for _ in range(3):
        with mlotel.component("alice") as c:
            c.param(x="alice", n=3)

    assert "alice" not in everything(capture)
    span = capture.spans()[0]
    assert span.name == "component [redacted]"
    assert 3 in span.attributes.values()
    assert [record.getMessage().partition(" (")[0] for record in caplog.records] == ["mlotel could not apply redact="]


def test_what_redact_returns_is_cleaned(capture):
    """What comes out of ``redact=`` is cut and freed of lone surrogates like all else."""
    _settings.current.redact = lambda text: "y" * 5000 + "\ud800" if text == "long" else text + "\ud800"
    with mlotel.component("c") as c:
        c.param(x="long", y="b")

    attributes = capture.spans()[0].attributes
    assert attributes["ml.param.y_"] == "b?"
    assert len(attributes["ml.param.x_"]) == 2048
