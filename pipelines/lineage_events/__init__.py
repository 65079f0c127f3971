"""OpenLineage events of runs: what was read, what was written, how it ended.

Nobody's name and no text of a document is in them. A run that finds nothing to do sends none, and
imports nothing for them.
"""
