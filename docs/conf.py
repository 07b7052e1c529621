"""Settings of the documentation builder: ``sphinx-build -W --keep-going -b html docs docs/_build/html``.

Nothing is fetched: no other project's inventory, no fonts, no scripts.
"""

import mlotel

project = "mlotel"
author = "the mlotel authors"
version = release = mlotel.__version__
copyright = "the mlotel authors. Apache License 2.0"

extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "myst_parser"]
exclude_patterns = ["_build"]

myst_heading_anchors = 4
napoleon_numpy_docstring = False
napoleon_use_rtype = False
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the signature has them
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 100

html_theme = "furo"
html_title = f"mlotel {release}"
html_show_sphinx = False
pygments_style = "friendly"
