"""What pages show of one thing, worked out before a template sees it.

audit_tab          who did what when to it
backend_status     one judgement of how a backend stands
estimate           when a request may begin and end
historical_rows    a request as git had it at another time
registration_form  the questions of a project's registration, and what was answered
"""
