"""How the runner talks to its server.

base             the protocol, as the loop sees it
http             by the HTTP API
git              by fetches and pushes of the backend's branch
clone            the runner's own repository for that
signed_requests  which requests the server signed
"""
