"""Emails to people whose jobs finished, who are invited to a project, or who look after accounts.

They follow from the branches and are sent in the background: no command waits for an email, and a lost email changes
no record.

notifier        what happened on the branches since the last look, and who is notified
outbox          each email once; those that fail are sent again later
finished        the email about finished jobs
invitation      the email about an invitation to a project
expiring_token  the email about a personal token that expires soon
first_login     the email about an account that GitHub now identifies
mail            ways to send an email: the console, Mailgun
"""
