"""What people look at: a comparison as a page, documents with their chunks in colour.

>>> from pipelines.evaluate.report.page import report
>>> Path("report.html").write_text(report(comparison), encoding="utf-8")  # doctest: +SKIP
"""
