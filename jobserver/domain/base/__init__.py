"""What every noun of the domain is built on. Imports none of the nouns while the program runs.

names           which names are allowed
layout          branches, and which document is at which path
identifiers     identifiers of job requests
reserved        names that the server's own pages have
urls            which hosts and URLs are allowed
values          the values of documents, and their common base
registration    the answers on the form that registers a project
validation      documents from values, and faults in plain words
yaml_positions  YAML as it was written, each node with its line
permissions     roles, permissions and actors
state           what a decision reads, and the changes that it proposes
rights          what one actor may do
rules           what each noun tells `admit` about its documents
planning        helpers for the plans of nouns
"""
