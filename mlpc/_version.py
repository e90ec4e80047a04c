"""The version, once: importlib.metadata would take longer to ask than everything else takes to import."""

__version__ = "0.1.0"
