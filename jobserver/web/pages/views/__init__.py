"""What pages show, prepared for a template.

audit_tab          who changed it, when and how
backend_status     the state of a backend
estimate           when a request is expected to start and end
history            the commit that a page is shown as of
historical_rows    a request as a commit has it
request_details    what the page of a job request shows
registration_form  the questions of a project's registration, and the answers
"""
