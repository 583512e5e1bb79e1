"""What commands write to a terminal.

output    text, tables and errors
progress  progress bars

Imports errors, click and rich.
"""
