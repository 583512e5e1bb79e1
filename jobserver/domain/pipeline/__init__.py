"""A study's pipeline: what project.yaml says, and what is wrong with it. Imports `domain.base` only.

reader        the structure, whose faults are faults everywhere
rules         what OpenSAFELY's runners refuse
commands      what a command says: its image, and whether it uses the database
output_rules  which outputs an action may name
graph         what an action needs, which actions a request runs, and which need each other
"""
