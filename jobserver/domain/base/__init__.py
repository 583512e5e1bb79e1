"""What every noun of the domain is built on: names, paths, values, permissions, and the state that a decision sees.

names           which names are allowed, and how a fault of one reads
values          the values that documents are made of, and their common base
permissions     roles, permissions and actors
state           what a decision may read, and the changes that it may propose
planning        helpers that the plans of several nouns share
yaml_positions  YAML as it was written, each node with its line

Imports nothing else of the domain while the program runs.
"""
