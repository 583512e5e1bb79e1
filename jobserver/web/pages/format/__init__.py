"""Values as text and pictures. Pure.

graph         a pipeline as pictures
highlight     project.yaml and diffs with marks
labels        statuses, codes and times in words
page_version  what a page shows, as a short text that changes when that does
"""
