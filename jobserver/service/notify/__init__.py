"""Email about finished job requests, invitations and first logins, derived from the branches.

notifier     finds out what to send, and sends it in the background
invitation   who was invited, and the text
first_login  which accounts were bound to GitHub, and the text
mail         the ways to send: console and Mailgun

Does not know the gate: a command never waits for an email, and a lost email changes no record.
"""
