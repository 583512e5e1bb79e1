"""Git over HTTP at /state.git: the system's `git http-backend` behind our authentication.

smart_http     who may fetch and push what
fetch_request  what a fetch wants, or a push moves, read before git sees it
push_guard     a backend's push, looked through before git sees it
cgi            one run of `git http-backend`
"""
