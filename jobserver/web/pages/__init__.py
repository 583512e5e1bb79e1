"""The web pages. A page reads the index; what a person changes on it goes through the gate, as every write does.

assets      static files, under names that change with their content
banners     the banner about backends that are offline
context     who requests a page, and what they may do
forms       reads forms and queries, and refuses forged forms
kept_forms  forms whose session ended before they were sent
new_secrets a new token, shown once
redirects   redirects within the site, and to the login page
reference   the API's description, for people who write scripts
render      templates as HTTP answers
sessions    who is logged in
sent_form   a form that was refused: what was typed, and which field is wrong in which way
site        adds pages to the application, and shows errors as pages
workspace_settings the settings of a workspace
workspace_webhooks the webhooks of a workspace
design/     the components of pages, each in all its states
history/    what ran before: actions, workspaces by week, backends by day
login/      the pages that people log in on
routes/     the pages by their addresses
views/      what pages show, prepared for a template
format/     values as text and pictures
released/   released files and releases, prepared for their pages
layout/     where a picture's parts go

The templates are in `web/templates/`: a folder for each noun, beside what all pages share.
"""
