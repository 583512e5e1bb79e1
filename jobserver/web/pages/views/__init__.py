"""What pages show, prepared for a template.

audit_tab          who changed it, when and how
history            the commit that a page is shown as of
destinations       where a person can go, for the palette
following          what a person follows
historical_rows    a request as a commit has it
request_details    what the page of a job request shows
request_jobs       its jobs: failures first, successes folded, by a filter
request_summary    what became of it, and what to do about failures
search             filters and other matches of a search, and the query of a URL
limits             what projects and people may use, and until when
workspace_list     which workspaces their list shows
registration_form  the questions of a project's registration, and the answers
timeline           when the jobs of a request waited and ran, as bars
"""
