"""Ours in other frameworks, and theirs in ours. Each module needs the framework it is named after.

    from chunkers.adapters.langchain import GristmillTextSplitter
    from chunkers.adapters.llamaindex import GristmillNodeParser
    from chunkers.adapters.beam import GristmillChunker

The other way round needs no import: a policy, or `chunk`, names a splitter of theirs as
`langchain:RecursiveCharacterTextSplitter` (`chunkers.adapters.foreign`).
"""
