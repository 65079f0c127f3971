"""Formats by file name and by declared media type: the second opinion, after the content."""

from __future__ import annotations

from pathlib import PurePosixPath

_SUFFIXES = {
    "text": "txt text asc adoc asciidoc rtx me 1st tex latex",
    "markdown": "md markdown mdown mkd mkdn mdx rmd qmd",
    "html": "html htm xhtml xht shtml mhtml",
    "pdf": "pdf",
    "docx": "docx docm dotx dotm",
    "pptx": "pptx pptm potx ppsx ppsm",
    "xlsx": "xlsx xlsm xltx xlsb",
    "doc": "doc dot",
    "xls": "xls xlt",
    "ppt": "ppt pps pot",
    "odt": "odt ott",
    "ods": "ods ots",
    "odp": "odp otp",
    "rtf": "rtf",
    "epub": "epub",
    "eml": "eml mht",
    "mbox": "mbox mbx",
    "msg": "msg",
    "csv": "csv",
    "tsv": "tsv tab",
    "json": "json geojson jsonld webmanifest har",
    "jsonl": "jsonl ndjson jsonlines",
    "notebook": "ipynb",
    "xml": "xml xsd xsl xslt rss atom svg kml gpx wsdl plist dita docbook xliff tmx resx csproj",
    "yaml": "yaml yml",
    "log": "log",
    "vtt": "vtt",
    "srt": "srt",
    "org": "org",
    "rst": "rst rest",
    "bib": "bib",
    "code:python": "py pyi pyw pyx",
    "code:javascript": "js mjs cjs jsx",
    "code:typescript": "ts mts cts",
    "code:tsx": "tsx",
    "code:java": "java",
    "code:c": "c h",
    "code:cpp": "cpp cc cxx hpp hh hxx c++ h++ ipp inl cu cuh",
    "code:csharp": "cs",
    "code:go": "go",
    "code:rust": "rs",
    "code:ruby": "rb rake gemspec",
    "code:php": "php phtml",
    "code:bash": "sh bash zsh ksh",
    "code:scala": "scala sc",
    "code:kotlin": "kt kts",
    "code:swift": "swift",
    "code:lua": "lua",
    "code:sql": "sql ddl",
    "code:julia": "jl",
    "code:elixir": "ex exs",
    "code:powershell": "ps1 psm1 psd1",
    "code:objc": "m mm",
    "code:groovy": "groovy gradle",
    "code:r": "r",
    "code:perl": "pl pm",
    "code:haskell": "hs lhs",
    "code:clojure": "clj cljs cljc edn",
    "code:dart": "dart",
    "code:css": "css scss sass less",
    "code:toml": "toml",
    "code:ini": "ini cfg conf properties editorconfig env",
    "code:hcl": "tf tfvars hcl bicep",
    "code:proto": "proto thrift",
    "code:graphql": "graphql gql",
    "code:make": "mk mak cmake",
    "code:batch": "bat cmd",
    "code:vue": "vue svelte astro",
    "code:fortran": "f f90 f95",
    "code:pascal": "pas dpr",
    "code:vb": "vb vbs bas",
    "code:erlang": "erl hrl",
    "code:ocaml": "ml mli",
    "code:fsharp": "fs fsx",
    "code:zig": "zig",
    "code:nim": "nim",
    "code:solidity": "sol",
    "code:asm": "asm s",
}
BY_SUFFIX = {suffix: kind for kind, names in _SUFFIXES.items() for suffix in names.split()}
"""File name suffix, lower case and without the dot → format."""

_BY_NAME = {
    "makefile": "code:make",
    "gnumakefile": "code:make",
    "dockerfile": "code:docker",
    "containerfile": "code:docker",
    "jenkinsfile": "code:groovy",
    "vagrantfile": "code:ruby",
    "gemfile": "code:ruby",
    "rakefile": "code:ruby",
    "cmakelists.txt": "code:make",
    "syslog": "log",
}
_MARKED_TEXT = frozenset({"markdown", "rst", "org"})
"""Formats that keep their suffix when `.txt` is put behind it: `index.rst.txt`."""
_MEDIA_TYPES = {
    "text": "text/plain",
    "markdown": "text/markdown",
    "html": "text/html",
    "pdf": "application/pdf",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "doc": "application/msword",
    "xls": "application/vnd.ms-excel",
    "ppt": "application/vnd.ms-powerpoint",
    "odt": "application/vnd.oasis.opendocument.text",
    "ods": "application/vnd.oasis.opendocument.spreadsheet",
    "odp": "application/vnd.oasis.opendocument.presentation",
    "rtf": "application/rtf",
    "epub": "application/epub+zip",
    "eml": "message/rfc822",
    "mbox": "application/mbox",
    "msg": "application/vnd.ms-outlook",
    "csv": "text/csv",
    "tsv": "text/tab-separated-values",
    "json": "application/json",
    "jsonl": "application/jsonl",
    "notebook": "application/x-ipynb+json",
    "xml": "application/xml",
    "yaml": "application/yaml",
    "log": "text/x-log",
    "vtt": "text/vtt",
    "srt": "application/x-subrip",
    "org": "text/org",
    "rst": "text/x-rst",
    "bib": "application/x-bibtex",
}
_DECLARED = {media_type: kind for kind, media_type in _MEDIA_TYPES.items()} | {
    "application/xhtml+xml": "html",
    "application/x-ndjson": "jsonl",
    "application/x-yaml": "yaml",
    "text/x-markdown": "markdown",
    "text/xml": "xml",
    "text/yaml": "yaml",
    "text/rtf": "rtf",
    "text/x-python": "code:python",
    "text/javascript": "code:javascript",
    "application/javascript": "code:javascript",
    "application/sql": "code:sql",
    "application/x-sh": "code:bash",
}


def suffix_of(name: str) -> str:
    """The suffix of a key, lower case, without its dot."""
    return PurePosixPath(name.replace("\\", "/")).suffix.lower().lstrip(".")


def format_by_name(name: str) -> str | None:
    """The format that a key's last part suggests, or null."""
    last = PurePosixPath(name.replace("\\", "/")).name.lower()
    if last.endswith(".txt") and (inner := BY_SUFFIX.get(suffix_of(last[:-4]))) in _MARKED_TEXT:
        return inner
    if (found := _BY_NAME.get(last)) or (found := BY_SUFFIX.get(suffix_of(last))):
        return found
    return "code:docker" if last.startswith("dockerfile.") else None


def format_by_media_type(declared: str | None) -> str | None:
    """The format that a declared media type suggests, or null."""
    if not declared:
        return None
    return _DECLARED.get(declared.partition(";")[0].strip().lower())


def media_type_of(format: str) -> str:
    """The media type of a format."""
    base, _, language = format.partition(":")
    if base == "code":
        return f"text/x-{language or 'source'}"
    return _MEDIA_TYPES.get(base, "application/octet-stream")
