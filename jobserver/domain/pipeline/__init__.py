"""A study's pipeline: what project.yaml says, and what is wrong with it. Pure.

reader        the structure, whose faults are faults everywhere
rules         what the runners that read the file will not take
output_rules  which outputs an action may name
"""
