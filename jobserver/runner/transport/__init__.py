"""How the runner and its server talk.

base     the protocol, as the loop sees it
http     by the HTTP API
git      by fetch and push of the backend's branch
vouched  which requests a key of the server's vouches for
"""
