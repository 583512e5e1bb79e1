"""What is read from the index, each within one view.

api       for answers of the API
pages     for pages
forecast  what past runs say of what is to come
"""
