"""The pages that people log in on.

login   the login page, one-time links, and logging out
github  logging in with GitHub
oidc    logging in with OpenID Connect, and connecting an account to it
"""
