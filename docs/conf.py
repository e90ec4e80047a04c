"""How Sphinx builds the site: `make docs`, with warnings as errors."""

import mlpc

project = "mlpc"
author = "mlpc contributors"
project_copyright = "mlpc contributors"
version = release = mlpc.__version__

# The last one puts MathJax into the site: formulas need no network.
extensions = ["myst_nb", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.mathjax", "sphinx-mathjax-offline"]
exclude_patterns = ["**/.ipynb_checkpoints"]

# Docstrings name arguments and objects in single backticks: a link where there is such an object, code otherwise.
default_role = "py:obj"
autodoc_typehints = "none"  # numpydoc's sections say types and shapes
autodoc_member_order = "groupwise"
numpydoc_show_class_members = False  # api/*.md list what belongs together

myst_enable_extensions = ["amsmath", "dollarmath"]
myst_heading_anchors = 3

# Notebooks are committed without outputs: their pictures are made here. A cell that fails or warns ends the build.
nb_execution_mode = "auto"
nb_execution_timeout = 120
nb_execution_raise_on_error = True
nb_output_stderr = "error"
nb_merge_streams = True  # what a cell prints is one block

html_theme = "pydata_sphinx_theme"
html_title = "mlpc"
html_theme_options = {
    "show_prev_next": True,
    "navigation_with_keys": False,
    "navbar_align": "left",  # so that links and search share a line on a small screen
    "secondary_sidebar_items": ["page-toc"],
    "header_links_before_dropdown": 6,
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_static_path = ["_static"]
html_css_files = ["tables.css"]
html_sidebars = {"changelog": []}
html_show_sourcelink = False
