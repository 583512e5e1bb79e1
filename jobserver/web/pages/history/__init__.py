"""The pages about what ran before, with charts that the server draws.

actions   the runs of an action
trends    a workspace by week, a backend by day
compare   two requests of a workspace
figures   columns, weeks and days from rows
chart     the layout of a chart
"""
