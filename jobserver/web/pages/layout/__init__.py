"""Where the actions of a pipeline and the lines between them go in a picture. Pure; all numbers are pixels.

A line never crosses an action: wide pictures give long lines a place of their own in each column, and tall ones
draw all lines beside the actions. The reasons are in docs/decisions/0023-own-graph-layout.md.

names      long names, shortened so that they stay distinct
layers     the columns: which action stands in which, and where long lines pass
crossings  the order in each column, so that few lines cross
positions  how far down each action stands
wide       from left to right
tall       from top to bottom, for narrow windows
"""
