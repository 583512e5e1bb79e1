"""Messages to people and other systems.

They follow from the branches and are sent in the background: no command waits for a message, and a lost one changes no
record.

subscriptions who gets an email about which job requests, and when
notifier      finds out what happened on the branches
release_events what Airlock told about requests to release files
news          what happened, and who writes the messages about it
outbox        the messages that wait, in the private store
sender        sends them, and again later what fails
email/        emails to people
webhooks/     calls to URLs outside
issues/       GitHub issues about requests to release files
"""
