"""Sphinx builds the site from these pages: `make docs`."""

from __future__ import annotations

project = "Pillarbox"
author = "the Pillarbox contributors"
html_show_copyright = False

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_static"]

# Headings down to the third level can be linked to as on GitHub, `page.md#a-heading`.
myst_heading_anchors = 3
# An address is a link only where it is written as one: the rest are examples.
myst_linkify_fuzzy_links = False
# A block says its language, or it is text: nothing is guessed to be Python.
highlight_language = "text"
nitpicky = True
# Nothing is fetched while the site is built: the addresses of others are read, not visited.
intersphinx_mapping: dict[str, tuple[str, str | None]] = {}

html_theme = "furo"
html_title = "Pillarbox"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
# The site is of this repository alone: no index of Python's names, since there is none.
html_use_index = False
html_domain_indices = False
pygments_style = "friendly"
pygments_dark_style = "monokai"
