"""What waits for more to be said about a file does not wait for a flush."""

import pytest
from programs import run
from records import spooled


@pytest.mark.parametrize("end", ["telemetry.flush()", "telemetry.shutdown()", "os.kill(os.getpid(), 15)"])
def test_a_file_that_was_read_is_delivered_while_its_component_is_open(tmp_path, end):
    """Its span waits for what else may be said about the file; who flushes counts on it."""
    (tmp_path / "table.csv").write_text("a\n1\n2\n")
    run(
        f"""
        import pandas
        telemetry = configure(instrument=["io"])
        with mlotel.component("clean"):
            pandas.read_csv("table.csv")
            {end}
            os._exit(0)
        """,
        folder=tmp_path,
        status=-15 if "kill" in end else 0,
    )

    names = [span["name"] for span in spooled(tmp_path / ".mlotel" / "spool")["traces"]]
    assert names == ["read table.csv"]
