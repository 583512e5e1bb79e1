"""The components of pages, each with all its states, for people who build pages (docs/design.md).

`gallery` adds the pages, `samples` has what they show. Imports what the other pages do.
"""
