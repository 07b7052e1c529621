"""``python -m mlotel``: the same as the command ``mlotel``."""

from mlotel.cli import main

raise SystemExit(main())
