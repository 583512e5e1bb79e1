"""Emails: what they say, and ways to send one.

writer          writes the emails about what happened
finished        the email about finished jobs
invitation      the email about an invitation to a project
release_request the emails about a request to release files
expiring_token  the email about a personal token that expires soon
first_login     the email about an account that GitHub now identifies
mail            ways to send an email: the console, Mailgun
smtp            SMTP
"""
