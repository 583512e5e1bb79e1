"""Git over HTTP at /state.git. Imports what `web` may.

smart_http     the URLs: lists refs, fetches, takes pushes
access         who may fetch and push what
fetch_request  a backend's fetch, read before git sees it
active_pack    a backend's fetch without the archive: git starts it
push_guard     a backend's push, checked before git sees it
pkt_line       the frames of git's protocol
http_backend   starts `git http-backend` with the settings for a caller
cgi            one run of it: a request in, the answer out
"""
