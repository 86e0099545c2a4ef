"""How the site is built: `make docs`. Nothing is fetched, and a warning is an error."""

import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import generate  # noqa: E402

generate.write_all(HERE / "generated")

import selfreward  # noqa: E402

project = "selfreward"
copyright = "the selfreward authors, Apache-2.0"
release = selfreward.__version__
extensions = ["myst_parser"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
nitpicky = True
html_theme = "furo"
html_title = f"selfreward {release}"
html_show_sphinx = False
html_copy_source = False
html_theme_options = {"source_edit_link": "", "source_view_link": ""}
# Text blocks are shown as they are written; a language is named where colours help.
highlight_language = "text"


def to_the_copy(app, docname, source):
    """The log and the tables lie outside `docs/`, and links say so; the site has copies of them (generate.py)."""
    if not docname.startswith("generated/"):
        source[0] = re.sub(r"\]\(((?:\.\./)*)\.\./(results/[\w/]+\.md)", r"](\1generated/\2", source[0])


def setup(app):
    app.connect("source-read", to_the_copy)
