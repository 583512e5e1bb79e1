"""Messages to people and other systems: emails, and webhooks to whatever wants to know what happened.

They follow from the branches and are sent in the background: no command waits for a message, and a lost one changes no
record.

notifier        finds out what happened on the branches, and who gets a message about it
outbox          the messages that wait, in the private store
sender          sends them, and again later what fails
finished        the email about finished jobs
invitation      the email about an invitation to a project
expiring_token  the email about a personal token that expires soon
first_login     the email about an account that GitHub now identifies
mail            ways to send an email: the console, Mailgun
smtp            SMTP
"""
