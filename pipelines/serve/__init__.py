"""The read API: search and fetch over a loaded index, trimmed to what the caller may read.

    gristmill serve gristmill.yaml

Who asks is what a verified token says, never what a request says.
"""
