"""Documents as YAML: strict to read, one canonical form to write.

    canonical  the emitter, and the reader of just that form
    codec      a document to YAML and back
    nodes      any YAML to nodes with lines, and nothing that YAML could do behind the reader's back

Owns PyYAML. May import errors and domain.
"""
