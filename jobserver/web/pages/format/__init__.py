"""Values as text and pictures. Pure.

calls          what the run form would send, for curl and as a command
commit_changes what a commit changed, without the files that only moved
github         links to a study on GitHub
graph          a pipeline as a picture and as a list
graph_groups   what a picture shows as one
highlight      project.yaml and diffs with highlighted parts
labels         statuses, status codes, flags, roles and sizes in words
page_version   the state that a page shows, as a short text
tabs           the navigation
times          times and durations in words
"""
