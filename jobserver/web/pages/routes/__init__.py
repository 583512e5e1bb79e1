"""The pages by their addresses, one file for each noun. A handler reads the form, acts, and renders a template."""
