"""Documents as YAML: strict to read, one canonical form to write.

    canonical  emits the canonical form, and reads exactly that form
    codec      converts documents to YAML and back
    edit       writes a changed document into YAML that somebody wrote by hand
    nodes      parses any YAML to nodes with their lines, without YAML's implicit conversions

The only package that uses PyYAML. May import errors and domain.
"""
