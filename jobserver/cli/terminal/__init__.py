"""What commands write to a terminal.

output    text and errors
progress  progress bars

Imports errors, click and rich.
"""
