"""What follows the branches: each part is brought up to the tips before somebody reads it.

directory    `main` in memory
listings     the active job requests of each backend, as ready bytes, and the polls that wait for a change
rows         the rows of all backends' branches
announced    updates that the writer announced, so that nobody need compare trees
branch_diff  the documents in which two commits differ, where nobody announced them
lag          why readers may get older data than the branches have
"""
